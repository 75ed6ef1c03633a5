# SPDX-License-Identifier: Apache-2.0
"""What kubectl reads and writes, as whoever runs it."""
