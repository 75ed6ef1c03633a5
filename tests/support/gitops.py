# SPDX-License-Identifier: Apache-2.0
"""What GitOps tools do, through the real kubectl, kustomize and Helm."""

import os
import shutil
import subprocess
from pathlib import Path

import yaml
from lupa.lua51 import LuaRuntime

from cabgate_devcluster import locate_program

DOCS = Path(__file__).resolve().parents[2] / "docs" / "gitops"

FLUX = "kustomize-controller"
ARGOCD = "argocd-controller"
"""Field managers that Flux and Argo CD apply as."""


def rendered(text):
    """The objects of a rendered manifest, by kind."""
    objects = [obj for obj in yaml.safe_load_all(text) if obj]
    found = {obj["kind"]: obj for obj in objects}
    assert len(found) == len(objects), "two objects of one kind"
    return found


def images_of(workload):
    """Every image of a rendered workload."""
    pod = workload["spec"]["template"]["spec"]
    return {
        each["image"] for part in ("initContainers", "containers") for each in pod.get(part, ())
    }


class Overlay:
    """A copy of the kustomize example, for a namespace and with tags of the test's own."""

    def __init__(self, cluster, folder):
        self._cluster = cluster
        self.folder = folder / "kustomize"
        shutil.copytree(DOCS / "kustomize", self.folder)

    def set(self, name="production", **fields):
        """Change fields of an overlay's kustomization, as `kustomize edit` does."""
        path = self.folder / "overlays" / name / "kustomization.yaml"
        path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **fields}))

    def release(self, number, *images):
        """What the pipeline of a release writes: its images, and the evidence for them."""
        path = self.folder / "overlays" / "production" / "evidence.yaml"
        text = path.read_text().replace("checkout/1.1", f"checkout/{number}")
        found = yaml.safe_load(text)
        found["spec"]["evidence"]["artifacts"][0]["images"] = list(images)
        path.write_text(yaml.safe_dump(found))

    def render(self, name="production"):
        """What `kubectl kustomize` makes of an overlay, by kind."""
        folder = self.folder / "overlays" / name
        return rendered(self._cluster.kubectl("kustomize", folder).stdout)


def helm(cluster, *args, user=None):
    """Run Helm; the completed process. It finds and leaves nothing of the developer's."""
    home = cluster.directory / "helm"
    return subprocess.run(
        [str(locate_program("helm", None)), *(os.fspath(arg) for arg in args)],
        env={
            "PATH": os.defpath,
            "HOME": str(home),
            "HELM_CACHE_HOME": str(home / "cache"),
            "HELM_CONFIG_HOME": str(home / "config"),
            "HELM_DATA_HOME": str(home / "data"),
            "KUBECONFIG": str(user or cluster.admin),
            "GOGC": "off",  # a quarter of its CPU time
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


class ArgoHealth:
    """Argo CD's health check, run by the Lua that Argo CD speaks, without its libraries."""

    def __init__(self, script=None):
        self._script = script or (DOCS / "argocd-health.lua").read_text()

    def of(self, obj):
        """Status and message of an object."""
        runtime = LuaRuntime(
            register_eval=False, register_builtins=False, unpack_returned_tuples=True
        )
        names = runtime.globals()
        for name in list(names):
            if name not in ("ipairs", "pairs", "tostring", "tonumber", "type", "table"):
                names[name] = None
        names.obj = runtime.table_from(obj, recursive=True)
        answer = runtime.execute(self._script)
        return answer["status"], answer["message"]
