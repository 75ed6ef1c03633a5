# SPDX-License-Identifier: Apache-2.0
"""The page of what the walks of docs/gitops/flux.md took, written from the tests' own reports."""

from support.gitops import DOCS

PAGE = DOCS / "flux-times.md"
KEY = "flux"
LAYOUTS = ("one", "two")
HEAD = """\
# What was slow with Flux, and what stood still

Written by `make test-gitops` from its last run, with Flux's real kustomize-controller {version}
and the manifests of [the Flux page](flux.md) as they stand there, on two cores. Seconds until the
Deployment asked for the image and Flux called the commit applied, in one run: what they show is
which steps are a matter of seconds, and which wait for a retry. Flux's source-controller is not
part of it: a push is told at once, where a GitRepository with `interval: 1m` takes up to a minute
more unless a webhook tells it.

After an approval Flux is told to look again in one Kustomization, and the seconds count from when
it has done so: hence the zeros. In two nobody tells it anything.

| step | one Kustomization | two Kustomizations |
|---|---|---|
"""


class Times:
    """What tests noted by `record_property`, from all workers; the page at the end."""

    def __init__(self, version):
        self._version = version
        self._rows = {}

    def pytest_runtest_logreport(self, report):
        """Take the notes of a test that passed."""
        if report.when == "call" and report.passed:
            for key, value in report.user_properties:
                if key == KEY:
                    layout, step, taken = value
                    self._rows.setdefault(step, {})[layout] = taken

    def pytest_sessionfinish(self):
        """Write the page, if anything was noted."""
        if self._rows:
            PAGE.write_text(HEAD.format(version=self._version) + "".join(self._lines()))

    def _lines(self):
        for step, found in sorted(self._rows.items()):
            cells = [found.get(layout, "not tried") for layout in LAYOUTS]
            yield f"| {step} | {' | '.join(cells)} |\n"
