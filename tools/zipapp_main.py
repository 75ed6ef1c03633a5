# SPDX-License-Identifier: Apache-2.0
"""What runs first in the zipapp of `kubectl cab` (tools/kubectl_cab.py): it unpacks itself once.

Python imports no native module out of a zip, and pydantic is one. This file has to be read by old
Pythons too, to tell them that they are.
"""

import json
import os
import sys
from pathlib import Path

UNAVAILABLE = 4  # as in cabgate_cli.exit_codes, which is not unpacked yet


def end(message: str) -> None:
    """End with a message, where there is nothing to run."""
    sys.stderr.write(f"kubectl-cab: {message}\n")
    sys.exit(UNAVAILABLE)


def run_by_another(this: str, pythons: list) -> None:
    """Begin anew with a Python that the native modules are there for, if PATH has one."""
    import shutil

    for version in pythons:
        found = shutil.which(f"python{version}")
        if found:
            os.execv(found, [found, *sys.argv])  # noqa: S606 - the same file, by another Python
    end(
        f"made for Python {', '.join(pythons)}, and this is {this}. Put one of them on PATH, or "
        "install by `uv tool install`, which takes any from 3.11 on."
    )


def unpacked(archive: Path, digest: str) -> Path:
    """The folder of what is in the archive; unpacked if it is not there."""
    home = os.environ.get("XDG_CACHE_HOME")
    cache = (Path(home) if home else Path.home() / ".cache") / "cabgate"
    place = cache / f"kubectl-cab-{digest[:16]}"
    if place.is_dir():
        return place
    # What only the first run needs takes a good part of the time of those that follow.
    import shutil
    import tempfile
    import zipfile

    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(dir=str(cache)))  # not seen by others until it is whole
    try:
        with zipfile.ZipFile(str(archive)) as opened:
            opened.extractall(str(work), [n for n in opened.namelist() if n.startswith("site/")])
        try:
            (work / "site").rename(place)
        except OSError:
            if not place.is_dir():  # else another one was first
                raise
    finally:
        shutil.rmtree(str(work), ignore_errors=True)
    return place


def main() -> None:
    """Run the program, or, by the name that kubectl completes by, what completes it."""
    archive = Path(__file__).resolve().parent
    # By what has read the list of files already: there are thousands.
    about = json.loads(__loader__.get_data("about.json").decode())
    this = ".".join(str(number) for number in sys.version_info[:2])
    if this not in about["pythons"]:
        run_by_another(this, about["pythons"])
    try:
        sys.path.insert(0, str(unpacked(archive, about["digest"])))
    except (OSError, RuntimeError) as error:  # the latter where nobody has a home
        end(f"cannot unpack itself: {error}. Set XDG_CACHE_HOME to a folder that it may write.")
    if Path(sys.argv[0]).name == "kubectl_complete-cab":
        from cabgate_cli.completion import main as run
    else:
        from cabgate_cli.start import plugin as run
    run()


if __name__ == "__main__":
    main()
