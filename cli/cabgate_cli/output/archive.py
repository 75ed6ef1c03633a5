# SPDX-License-Identifier: Apache-2.0
"""An archive for an audit: files in one ZIP, with a manifest of their digests. The same files give
the same bytes."""

import hashlib
import io
import json
import zipfile
from collections.abc import Iterable, Mapping
from typing import Any

MANIFEST = "manifest.json"
"""The file that lists the others."""

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest that a ZIP can say; a time would differ at each run
_PLAIN_FILE = 0o100644 << 16


def json_bytes(value: Any) -> bytes:
    """A value as JSON that is the same for the same value, with a line feed at its end."""
    return (json.dumps(value, sort_keys=True, indent=2, ensure_ascii=True) + "\n").encode()


def json_lines(objects: Iterable[Mapping[str, Any]]) -> bytes:
    """Objects as JSON Lines, ordered by namespace, name and uid; one that is given twice as it is
    stands there once."""
    lines = {(_place(each), _line(each)) for each in objects}
    return b"".join(line for _, line in sorted(lines))


def _line(each: Mapping[str, Any]) -> bytes:
    return (json.dumps(each, sort_keys=True, separators=(",", ":")) + "\n").encode()


def _place(each: Mapping[str, Any]) -> tuple[str, ...]:
    meta = each.get("metadata")
    if not isinstance(meta, Mapping):
        meta = {}
    return tuple(str(meta.get(key) or "") for key in ("namespace", "name", "uid"))


def archive(files: Mapping[str, bytes], about: Mapping[str, Any]) -> bytes:
    """A ZIP of some files and their manifest, which says `about`, too."""
    listed = [
        {"name": name, "sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
        for name, content in sorted(files.items())
    ]
    every = {**files, MANIFEST: json_bytes({**about, "files": listed})}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as made:
        for name, content in sorted(every.items()):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = _PLAIN_FILE
            entry.create_system = 3
            made.writestr(entry, content)
    return out.getvalue()
