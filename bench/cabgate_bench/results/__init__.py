# SPDX-License-Identifier: Apache-2.0
"""What is made of what was measured."""
