# SPDX-License-Identifier: Apache-2.0
"""What became of a rollout: what runs, how long, and what is to be written of it."""
