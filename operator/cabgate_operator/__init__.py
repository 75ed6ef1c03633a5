# SPDX-License-Identifier: Apache-2.0
"""The operator: turns intents into scored requests, and keeps their state and conditions."""
