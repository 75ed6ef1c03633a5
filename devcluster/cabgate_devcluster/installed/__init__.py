# SPDX-License-Identifier: Apache-2.0
"""cabgate itself, on a local cluster."""
