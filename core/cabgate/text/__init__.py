# SPDX-License-Identifier: Apache-2.0
"""Text and bytes: canonical JSON, characters that nobody sees, and what others wrote."""
