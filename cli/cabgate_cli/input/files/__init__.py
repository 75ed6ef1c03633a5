# SPDX-License-Identifier: Apache-2.0
"""What somebody wrote: files, and what is wrong with them."""
