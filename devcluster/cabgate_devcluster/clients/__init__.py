# SPDX-License-Identifier: Apache-2.0
"""What a client of the cluster needs, and the client of its admin."""
