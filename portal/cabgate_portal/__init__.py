# SPDX-License-Identifier: Apache-2.0
"""The REST API for pipelines: each call is made to the API server with the caller's own token."""
