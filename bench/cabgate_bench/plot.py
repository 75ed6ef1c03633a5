# SPDX-License-Identifier: Apache-2.0
"""The plot of latencies."""

from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot

_LINES = {
    "bare": (":", "without cabgate"),
    "without": ("--", "policies, no webhook"),
    "with": ("-", "policies and webhook"),
}


def plot(cells: list[dict[str, Any]], path: Path) -> None:
    """Latency by percentile, a line for each side, a panel for each rate."""
    mpl.rcParams["svg.hashsalt"] = "cabgate"
    figure, axes = pyplot.subplots(1, len(cells), figsize=(5 * len(cells), 3.5), squeeze=False)
    for axis, cell in zip(axes[0], cells, strict=True):
        for side, (style, label) in _LINES.items():
            curve = cell["histogram"][side]
            axis.plot(range(len(curve)), curve, style, label=label)
        axis.set_title(f"{cell['rate']:g} dry-runs a second")
        axis.set_xlabel("percentile")
        axis.set_ylabel("ms")
        axis.set_yscale("log")
        axis.grid(visible=True, alpha=0.3)
        axis.legend()
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
