# SPDX-License-Identifier: Apache-2.0
"""The benchmark: what the gate costs a rollout, and how that grows. See docs/benchmarks."""
