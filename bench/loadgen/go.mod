// SPDX-License-Identifier: Apache-2.0
module cabgate.dev/loadgen

go 1.24
