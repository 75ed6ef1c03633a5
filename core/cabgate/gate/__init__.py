# SPDX-License-Identifier: Apache-2.0
"""Whether a rollout is admitted, and what people read about it."""
