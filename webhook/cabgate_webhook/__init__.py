# SPDX-License-Identifier: Apache-2.0
"""The admission webhook: gates rollouts and guards the objects of cabgate."""
