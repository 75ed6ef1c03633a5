# SPDX-License-Identifier: Apache-2.0
"""The event store: every record of the ledgers of one or more clusters, in PostgreSQL or SQLite."""
