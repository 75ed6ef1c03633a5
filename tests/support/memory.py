# SPDX-License-Identifier: Apache-2.0
"""Memory of cabgate's processes, against what the chart gives them."""

import re

import yaml

from cabgate_bench.measure import tenants
from cabgate_devcluster.installed.chart import CHART


def limit_of(part):
    """Bytes that the chart gives a part."""
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    found = re.fullmatch(r"(\d+)Mi", values[part]["resources"]["limits"]["memory"])
    return int(found[1]) * 1024 * 1024


def peak(world, part):
    """Bytes that the process of a part had resident at most so far."""
    return tenants.high_water(getattr(world.installation, part)) * 1000 * 1024
