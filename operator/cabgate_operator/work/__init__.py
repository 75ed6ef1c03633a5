# SPDX-License-Identifier: Apache-2.0
"""What every controller works with: the queue, its keys, reports and metrics."""
