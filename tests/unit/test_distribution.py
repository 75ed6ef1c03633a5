# SPDX-License-Identifier: Apache-2.0
"""What the source distribution is told to hold: all that the wheel is built of, and what is
installed into a cluster."""

import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCK = tomllib.loads((ROOT / "uv.lock").read_text())
PROJECT, BUILD = PYPROJECT["project"], PYPROJECT["tool"]["hatch"]["build"]
SDIST, WHEEL = BUILD["targets"]["sdist"], BUILD["targets"]["wheel"]


def test_one_version_stands_everywhere():
    version = PROJECT["version"]
    (locked,) = (each for each in LOCK["package"] if each["name"] == "cabgate")
    chart = yaml.safe_load((ROOT / "charts" / "cabgate" / "Chart.yaml").read_text())
    assert locked["version"] == chart["version"] == chart["appVersion"] == version


def test_no_list_of_packages_takes_the_place_of_what_is_included():
    assert "packages" not in BUILD
    assert "packages" not in SDIST


def test_each_package_of_the_wheel_stands_where_the_wheel_looks_for_it():
    assert {f"/{package.split('/')[0]}" for package in WHEEL["packages"]} <= set(SDIST["include"])


def test_what_is_included_is_there_and_the_link_is_followed():
    for path in [*(include.strip("/") for include in SDIST["include"]), *SDIST["force-include"]]:
        assert (ROOT / path).exists()
    # What is included is not followed where it is a link; what is forced is.
    assert (ROOT / "crds").is_symlink()
    assert SDIST["force-include"] == {"crds": "crds"}
