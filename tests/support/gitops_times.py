# SPDX-License-Identifier: Apache-2.0
"""The pages of what the walks of docs/gitops took, written from the tests' own reports."""

from cabgate_devcluster.programs.pinned import version_of
from support.gitops import DOCS

FLUX_HEAD = """\
# Flux: measured delays, and where it stopped

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
ARGOCD_HEAD = """\
# Argo CD: measured delays, and where it stopped

Written by `make test-gitops` from its last run, with Argo CD's real application-controller and
repo-server {version} and the manifests of [the Argo CD page](argocd.md) as they stand there, on two
cores. Seconds until the Deployment asked for the image and Argo CD called the commit synced, in one
run: what they show is which steps are a matter of seconds, and which wait for a retry. A push is
told at once, as a webhook does; without one it takes Argo CD up to three minutes more. After an
approval nobody tells it anything, but where the step says so.

Without waves the seconds after an approval depend on when it comes: the tries are 5, 10, 20 and 40
seconds apart, and then a minute.

| step | without waves | with waves |
|---|---|---|
"""


class Times:
    """What tests noted by `record_property` under a key, from all workers; the page at the end."""

    def __init__(self, key, page, head, layouts):
        self._key, self._page, self._head, self._layouts = key, page, head, layouts
        self._rows = {}

    def pytest_runtest_logreport(self, report):
        """Take the notes of a test that passed."""
        if report.when == "call" and report.passed:
            for key, value in report.user_properties:
                if key == self._key:
                    layout, step, taken = value
                    self._rows.setdefault(step, {})[layout] = taken

    def pytest_sessionfinish(self):
        """Write the page, if anything was noted."""
        if self._rows:
            (DOCS / self._page).write_text(self._head + "".join(self._lines()))

    def _lines(self):
        for step, found in sorted(self._rows.items()):
            cells = [found.get(layout, "not tried") for layout in self._layouts]
            yield f"| {step} | {' | '.join(cells)} |\n"


def all_times():
    """One for each page."""
    flux = FLUX_HEAD.format(version=version_of("kustomize-controller"))
    argocd = ARGOCD_HEAD.format(version=version_of("argocd"))
    return [
        Times("flux", "flux-times.md", flux, ("one", "two")),
        Times("argocd", "argocd-times.md", argocd, ("retries", "waves")),
    ]
