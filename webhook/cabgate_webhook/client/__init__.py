# SPDX-License-Identifier: Apache-2.0
"""What a request has to be judged by, read from the API server."""
