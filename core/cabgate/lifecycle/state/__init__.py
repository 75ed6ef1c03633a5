# SPDX-License-Identifier: Apache-2.0
"""Where a request or an exception stands."""
