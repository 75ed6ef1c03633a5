# SPDX-License-Identifier: Apache-2.0
"""What waits for somebody, what it changes, and what is said to it."""
