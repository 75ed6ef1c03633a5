# SPDX-License-Identifier: Apache-2.0
"""The one error that this package raises on purpose."""


class DevClusterError(Exception):
    """Something that the local cluster needs did not work; the message says what, and where."""
