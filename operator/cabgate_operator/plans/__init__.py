# SPDX-License-Identifier: Apache-2.0
"""What is to be written, as pure functions."""
