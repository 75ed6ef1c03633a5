# SPDX-License-Identifier: Apache-2.0
"""Who may decide, and what a decision of a person is."""
