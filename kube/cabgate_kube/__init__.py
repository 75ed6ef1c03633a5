# SPDX-License-Identifier: Apache-2.0
"""What talks to an API server, and what the processes of cabgate share."""
