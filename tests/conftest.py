# SPDX-License-Identifier: Apache-2.0
"""In CI nothing is skipped: what a test needs and does not find there is missing in `.ci/run`."""

import gc
import os

import pytest


def pytest_collection_finish():
    """Python looks for garbage among all objects that live, again and again, a tenth or more of
    the CPU time: what the collected tests hold stays anyway, and the rest is looked at seldom."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if "CI" in os.environ and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} is skipped, which CI must not: {report.longrepr[2]}"
    return report
