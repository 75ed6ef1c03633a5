# SPDX-License-Identifier: Apache-2.0
"""Which writes to cabgate's own objects are refused or warned of, and why."""
