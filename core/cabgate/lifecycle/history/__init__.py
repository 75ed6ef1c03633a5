# SPDX-License-Identifier: Apache-2.0
"""What was decided before of the same content or the same images, and still counts."""
