# SPDX-License-Identifier: Apache-2.0
"""In CI nothing is skipped: what a test needs and does not find there is missing in `.ci/run`."""

import os

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if "CI" in os.environ and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} is skipped, which CI must not: {report.longrepr[2]}"
    return report
