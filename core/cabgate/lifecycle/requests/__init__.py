# SPDX-License-Identifier: Apache-2.0
"""From an intent, or a broken glass, to a request and to the end of its approval."""
