# SPDX-License-Identifier: Apache-2.0
"""The record of decisions: chains, signatures, verification and pruning."""
