# SPDX-License-Identifier: Apache-2.0
"""The manifests of the pages about GitOps hang together, and the pages show what the files say."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from cabgate_devcluster.programs.pinned import version_of
from support.flux import CRDS, page_flags

GITOPS = Path(__file__).resolve().parents[2] / "docs" / "gitops"
PAGES = sorted(GITOPS.rglob("*.md"))


def documents(name):
    return [document for document in yaml.safe_load_all((GITOPS / name).read_text()) if document]


def kustomizations(name):
    return {
        document["metadata"]["name"]: document["spec"]
        for document in documents(name)
        if document["kind"] == "Kustomization"
    }


def overlay(path):
    """The overlay of the example that a path of a manifest means."""
    return GITOPS / "kustomize" / path


@pytest.mark.parametrize("path", sorted(GITOPS.rglob("*.yaml")), ids=lambda path: path.name)
def test_every_manifest_is_a_manifest(path):
    if "templates" in path.parts:
        return  # Helm reads these
    for document in yaml.safe_load_all(path.read_text()):
        assert document, path


def test_the_two_kustomizations_of_flux_follow_one_another():
    found = kustomizations("flux/two-kustomizations.yaml")
    first, second = found["shop-intent"], found["shop"]
    assert first["wait"] is True
    assert "wait" not in second
    assert second["dependsOn"] == [{"name": "shop-intent"}]
    assert first["sourceRef"] == second["sourceRef"]
    assert first["path"] == "./overlays/production-intent"
    assert second["path"] == "./overlays/production-workload"
    for spec in (first, second):
        assert (overlay(spec["path"]) / "kustomization.yaml").is_file()


def test_the_one_kustomization_of_flux_holds_both_and_names_the_flag():
    [spec] = kustomizations("flux/one-kustomization.yaml").values()
    assert (overlay(spec["path"]) / "kustomization.yaml").is_file()
    assert "dependsOn" not in spec
    flag, *_ = page_flags()
    assert flag in (GITOPS / "flux" / "one-kustomization.yaml").read_text()


def test_the_configuration_of_argo_cd_holds_the_health_check():
    [config] = documents("argocd/argocd-cm.yaml")
    [(key, script)] = config["data"].items()
    assert key == "resource.customizations.health.cabgate.dev_DeploymentIntent"
    assert script == (GITOPS / "argocd-health.lua").read_text()


def test_the_recipe_for_argo_cd_has_no_waves_and_retries_without_end():
    [application] = documents("argocd/application.yaml")
    retry = application["spec"]["syncPolicy"]["retry"]
    assert (retry["limit"], retry["refresh"]) == (-1, True)
    for name in ("kustomize/base/intent.yaml", "helm/templates/intent.yaml"):
        assert "sync-wave" not in (GITOPS / name).read_text()


def test_the_examples_name_who_asked():
    folder = GITOPS / "kustomize/overlays/production"
    [patch] = documents(folder / "requester.yaml")
    assert patch["spec"]["requester"] == "ann@example.com"
    [overlay] = documents(folder / "kustomization.yaml")
    assert {"path": "requester.yaml"} in overlay["patches"]
    [values] = documents("helm/values.yaml")
    assert values["requester"] == "ann@example.com"
    assert "requester: {{ . | quote }}" in (GITOPS / "helm/templates/intent.yaml").read_text()


@pytest.mark.parametrize("author", ["ann@example.com", 'a"nn\\@example.com'])
def test_the_recipe_takes_the_requester_from_the_author_of_the_commit(author, tmp_path):
    """As the page has it."""
    page = (GITOPS / "README.md").read_text()
    [recipe] = [block for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
                if "git log" in block]  # fmt: skip

    def git(*words, by=author):
        who = {"GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": by,
               "GIT_COMMITTER_NAME": "C", "GIT_COMMITTER_EMAIL": "c@example.com"}  # fmt: skip
        env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(tmp_path), **who}
        subprocess.run(["git", *words], cwd=tmp_path, env=env, check=True, capture_output=True)

    git("init", "-b", "main")
    git("commit", "--allow-empty", "-m", "one", by="other@example.com")
    git("commit", "--allow-empty", "-m", "two")
    subprocess.run(["sh", "-c", recipe], cwd=tmp_path, check=True)
    written = yaml.safe_load((tmp_path / "requester.yaml").read_text())
    [kept] = documents("kustomize/overlays/production/requester.yaml")
    assert written["spec"].pop("requester") == "ann@example.com"
    assert written["metadata"] == kept["metadata"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_links_of_a_page_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_there_are_pages():
    assert {page.name for page in PAGES} >= {"README.md", "flux.md", "argocd.md"}


def test_the_definitions_of_flux_are_those_of_the_controller_that_is_built():
    head = (CRDS / "kustomizations.yaml").read_text().splitlines()[1]
    version = version_of("kustomize-controller")
    assert f"github.com/fluxcd/kustomize-controller@{version}," in head
