# SPDX-License-Identifier: Apache-2.0
"""How files are written that commands were told to write."""

import os
import shutil
import tempfile
from pathlib import Path

from cabgate_cli.errors import Unavailable


def put_in_place(path: str, content: bytes) -> None:
    """Put a content in the place of a file's, or where there is none: all of it or nothing. Raises
    `Unavailable`."""
    target = Path(path).resolve()
    made = ""
    try:
        handle, made = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        if target.exists():
            shutil.copymode(target, made)
        else:
            Path(made).chmod(0o666 & ~_umask())
        Path(made).replace(target)
    except OSError as error:
        if made:
            Path(made).unlink(missing_ok=True)
        raise Unavailable(f"{path}: cannot be written: {error.strerror or error}") from None


def _umask() -> int:
    os.umask(found := os.umask(0))
    return found
