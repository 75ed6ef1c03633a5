# SPDX-License-Identifier: Apache-2.0
"""Somebody with `edit` in one namespace does their worst, while another team works."""
