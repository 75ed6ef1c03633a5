# SPDX-License-Identifier: Apache-2.0
"""Who has to approve what: for those who write change policies."""
