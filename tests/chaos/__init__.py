# SPDX-License-Identifier: Apache-2.0
"""Faults at random moments under a steady load, and what has to hold after them."""
