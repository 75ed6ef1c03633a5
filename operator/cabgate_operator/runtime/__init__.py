# SPDX-License-Identifier: Apache-2.0
"""What runs: watches, sweep, leadership and health."""
