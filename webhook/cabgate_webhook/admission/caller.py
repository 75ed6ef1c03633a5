# SPDX-License-Identifier: Apache-2.0
"""The file of what shows that the API server sent an admission request
(`cabgate.writes.caller_proof`)."""

from pathlib import Path
from typing import Any

from cabgate.writes.caller_proof import ANNOTATION, MIN_BYTES, check_proof
from cabgate_webhook.admission.requests import AdmissionRequest, metadata_of

STRIP: dict[str, Any] = {
    "op": "remove",
    "path": f"/metadata/annotations/{ANNOTATION.replace('/', '~1')}",
}
"""The patch that takes it away again, before other webhooks see it."""


class Caller:
    """The proof that this installation asks for: the file that a Secret is mounted as.

    Raises `OSError`, and `ValueError` for a file that proves nothing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        found = len(path.read_bytes())
        if found < MIN_BYTES:
            raise ValueError(f"has {found} bytes and needs {MIN_BYTES}: openssl rand -hex 32")

    def check(self, admission: AdmissionRequest) -> None:
        """Raise `Refusal` unless an admission request carries the proof. The file is read each
        time: what is signed comes seldom, and the kubelet replaces the file."""
        try:
            wanted = self._path.read_bytes()
        except OSError:
            wanted = b""
        check_proof(metadata_of(admission.object).get("annotations"), wanted)
