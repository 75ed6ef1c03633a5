# SPDX-License-Identifier: Apache-2.0
"""What a team writes: intents, their evidence and score, exceptions."""
