# SPDX-License-Identifier: Apache-2.0
"""The domain of cabgate: pure functions of typed values and a time that is passed in."""

GROUP = "cabgate.dev"
"""API group of every kind."""

VERSION = "v1alpha1"
"""The one served and stored API version."""

API_VERSION = f"{GROUP}/{VERSION}"
"""What stands in `apiVersion` of every object."""
