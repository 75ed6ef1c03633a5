# SPDX-License-Identifier: Apache-2.0
"""What the path of a call leads to."""


def namespace_of(path: str) -> str:
    """The namespace that a path leads into; empty for those that lead into none."""
    return path.partition("/namespaces/")[2].partition("/")[0]


def resource_of(path: str) -> str:
    """The resource that a path leads to, such as `cabrequests`."""
    parts = path.split("/")[3 if path.startswith("/api/") else 4 :]
    return parts[2] if parts[0] == "namespaces" and len(parts) > 2 else parts[0]
