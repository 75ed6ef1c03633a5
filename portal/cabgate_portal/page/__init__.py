# SPDX-License-Identifier: Apache-2.0
"""The page for people who decide: HTML over the reader and the pure views of the REST API."""
