# SPDX-License-Identifier: Apache-2.0
"""A picture of the demo's output."""

import re
from pathlib import Path

from rich.console import Console


def save_picture(console: Console, path: Path) -> None:
    """Write what a recording console showed as SVG, which loads nothing from elsewhere."""
    svg = console.export_svg(title="make demo", unique_id="demo")
    # A picture in a repository must not fetch fonts from somebody's server.
    svg = re.sub(r"@font-face\s*\{.*?\}\s*", "", svg, flags=re.DOTALL)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(svg, encoding="utf-8")
