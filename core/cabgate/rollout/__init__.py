# SPDX-License-Identifier: Apache-2.0
"""What somebody rolls out: kinds, targets, images, and how much a ring asks of it."""
