# SPDX-License-Identifier: Apache-2.0
"""Login by OpenID Connect, for the page in the cluster."""
