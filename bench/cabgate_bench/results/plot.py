# SPDX-License-Identifier: Apache-2.0
"""The plot of latencies."""

from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

_LINES = {
    "bare": (":", "without cabgate"),
    "without": ("--", "policies, no webhook"),
    "with": ("-", "policies and webhook"),
}

_PERCENTILES = (0, 10, 25, 50, 75, 90, 100)


def plot(cells: list[dict[str, Any]], path: Path) -> None:
    """Latency by percentile, a line for each side, a panel for each rate."""
    mpl.rcParams["svg.hashsalt"] = "cabgate"
    figure, axes = pyplot.subplots(
        1, len(cells), figsize=(5 * len(cells), 4), squeeze=False, layout="constrained"
    )
    for axis, cell in zip(axes[0], cells, strict=True):
        for side, (style, label) in _LINES.items():
            curve = cell["histogram"][side]
            axis.plot(range(len(curve)), curve, style, label=label)
        axis.set_title(f"{cell['rate']:g} dry-runs a second")
        axis.set_xlabel("percentile")
        axis.set_ylabel("ms")
        axis.set_xticks(_PERCENTILES)
        axis.set_yscale("log")
        # 1, 2, 5, 10 and so on, as whole numbers: a reader looks for 20 ms, not for a power of ten.
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        axis.yaxis.set_minor_formatter(NullFormatter())
        axis.grid(visible=True, alpha=0.3)
    # Below the panels, where it covers no line.
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(_LINES), frameon=False)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
