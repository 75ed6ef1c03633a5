# SPDX-License-Identifier: Apache-2.0
"""Where the programs of a cluster come from: found, or built and kept."""
