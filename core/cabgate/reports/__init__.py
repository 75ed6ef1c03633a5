# SPDX-License-Identifier: Apache-2.0
"""What records of the ledger come to over a time: figures, each with the records behind it."""
