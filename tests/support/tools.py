# SPDX-License-Identifier: Apache-2.0
"""Modules of the folder tools/, which is no package."""

import importlib.util
import sys

from cabgate_devcluster.installed.installation import ROOT


def tool(name):
    """A module of tools/, by its name; those that it imports of there come first."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
