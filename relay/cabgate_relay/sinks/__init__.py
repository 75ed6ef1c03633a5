# SPDX-License-Identifier: Apache-2.0
"""Sends the ledger to SIEMs, each record at least once and in the order of its chain."""
