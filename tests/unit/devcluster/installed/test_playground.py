# SPDX-License-Identifier: Apache-2.0
"""What somebody finds who plays with a local cluster."""

import os
from types import SimpleNamespace

from cabgate_devcluster.installed import playground


def test_the_path_that_is_printed_has_all_that_reviewers_need(tmp_path, monkeypatch):
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setattr(playground, "locate_program", lambda _: program)
    cluster = SimpleNamespace(
        binaries=SimpleNamespace(kubectl=program), user=lambda name, kubeconfig: kubeconfig
    )
    playground._write(cluster, tmp_path / "folder")
    programs = {each.name: each for each in (tmp_path / "folder" / "bin").iterdir()}
    # kubectl finds its plugin, and what completes it, by these names.
    own = {
        *("kubectl-cab", "kubectl_complete-cab"),
        *("cabgate", "cabgate-portal", "cabgate-relay"),
    }
    assert set(programs) == {"kubectl", "helm", *own}
    assert all(os.access(each, os.X_OK) for each in programs.values())
