# SPDX-License-Identifier: Apache-2.0
"""From evidence to a score, and what would improve it."""
