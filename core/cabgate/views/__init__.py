# SPDX-License-Identifier: Apache-2.0
"""What people who decide are shown; every text in it is inert."""
