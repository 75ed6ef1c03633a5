# SPDX-License-Identifier: Apache-2.0
"""What a SIEM is sent: records of the ledger and privileged actions, as CloudEvents or as OCSF."""
