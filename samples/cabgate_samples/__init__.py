# SPDX-License-Identifier: Apache-2.0
"""Objects as teams write them, and as they are stored: for tests, benchmark and demo."""
