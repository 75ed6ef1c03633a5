# SPDX-License-Identifier: Apache-2.0
"""`make demo`: the whole product on a real API server, each outcome checked."""
