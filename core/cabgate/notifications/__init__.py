# SPDX-License-Identifier: Apache-2.0
"""What people are notified of, when, and in which words."""
