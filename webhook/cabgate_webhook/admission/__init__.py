# SPDX-License-Identifier: Apache-2.0
"""Requests of the API server and their answers."""
