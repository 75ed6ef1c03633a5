# SPDX-License-Identifier: Apache-2.0
"""Processes that cannot outlive who starts them."""
