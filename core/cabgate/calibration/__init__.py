# SPDX-License-Identifier: Apache-2.0
"""Whether scores and failures go together, and what another risk model would have made of it."""
