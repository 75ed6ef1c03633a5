# SPDX-License-Identifier: Apache-2.0
"""Sends what people are notified of, to the channels of one file."""
