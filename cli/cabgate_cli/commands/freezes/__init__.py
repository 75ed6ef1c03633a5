# SPDX-License-Identifier: Apache-2.0
"""When nothing new is rolled out: for those who declare freezes, and who plan around them."""
