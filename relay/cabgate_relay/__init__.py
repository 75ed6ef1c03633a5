# SPDX-License-Identifier: Apache-2.0
"""The relay: carries the ledger of a cluster out of it, into an event store."""
