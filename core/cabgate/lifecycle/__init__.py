# SPDX-License-Identifier: Apache-2.0
"""Requests and exceptions from their opening to their end."""
