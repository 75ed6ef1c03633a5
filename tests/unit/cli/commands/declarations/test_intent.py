# SPDX-License-Identifier: Apache-2.0
"""`cabgate intent` from manifests: what it prints can be applied, scored and filled in."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from cabgate.api import DeploymentIntent
from cabgate.api.kinds import BUILT_IN, group_of
from cabgate.rollout.targets import Workload
from cabgate_cli.input.workloads import wanted
from unit.cli.support import EXAMPLES, manifest, printed, run

DEPLOYMENT = str(EXAMPLES / "manual-review" / "deployment.yaml")


SERVICE = yaml.safe_dump({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}})


def test_a_manifest_becomes_an_intent_with_every_image() -> None:
    found = printed("-f", DEPLOYMENT, "-n", "shop")

    assert (found["apiVersion"], found["kind"]) == ("cabgate.dev/v1alpha1", "DeploymentIntent")
    assert found["metadata"] == {"name": "orders", "namespace": "shop"}
    [target] = found["spec"]["targets"]
    assert (target["apiVersion"], target["kind"], target["name"]) == (
        "apps/v1",
        "Deployment",
        "orders",
    )
    assert [i.partition(":")[0] for i in target["images"]] == [
        "registry.example.com/shop/orders-migrate",
        "registry.example.com/shop/orders",
    ]
    [artifact] = found["spec"]["evidence"]["artifacts"]
    assert artifact == {"name": "deployment/orders", "images": target["images"]}
    assert set(found["spec"]) == {"targets", "evidence"}


def test_json_says_the_same() -> None:
    args = ("-f", DEPLOYMENT, "-n", "shop")
    assert json.loads(run("intent", *args, "-o", "json").stdout) == printed(*args)


@pytest.mark.parametrize("form", ["yaml", "json"])
def test_what_is_printed_can_be_scored_at_once(form: str) -> None:
    text = run("intent", "-f", DEPLOYMENT, "-n", "shop", "-o", form).stdout
    table = run("score", "-f", "-", stdin=text).stdout
    assert "Score        100.00 of 100" in table


SKELETON = re.compile(r"^  # ( *(?:- )?[a-zA-Z0-9]+:)( +#.*)?$", re.MULTILINE)


def test_the_commented_fields_are_all_the_fields_there_are() -> None:
    text = run("intent", "-f", DEPLOYMENT, "-n", "shop").stdout
    opened = yaml.safe_load(SKELETON.sub(r"  \1", text))["spec"]
    schema = DeploymentIntent.model_json_schema(by_alias=True)["$defs"]

    # Nor who wrote it, nor what a digest stands for.
    unwritten = {"submittedBy", "requestedBy", "templateForms"}
    assert set(opened) | unwritten == set(schema["DeploymentIntentSpec"]["properties"])
    evidence = opened["evidence"]
    # Nobody types what is signed.
    assert set(evidence) | {"attestations"} == set(schema["Evidence"]["properties"])
    for part, name in (
        ("testResults", "TestResults"),
        ("scanResults", "ScanResults"),
        ("manualTesting", "ManualTesting"),
        ("rollbackPlan", "RollbackPlan"),
        ("deploymentPlan", "DeploymentPlan"),
        ("scope", "Scope"),
    ):
        assert set(evidence[part]) == set(schema[name]["properties"])
    assert set(evidence["artifacts"][0]) == set(schema["Artifact"]["properties"])


def test_what_is_opened_and_not_filled_in_cannot_be_taken_for_evidence() -> None:
    text = run("intent", "-f", DEPLOYMENT, "-n", "shop").stdout
    opened = SKELETON.sub(r"  \1", text)
    errors = run("score", "-f", "-", stdin=opened, code=2).stderr
    assert "spec.evidence.testResults.coveragePercent: has no value" in errors
    assert len(errors.splitlines()) == len(SKELETON.findall(text)) - 6  # the parts themselves


def test_the_output_tells_what_to_complete() -> None:
    text = run("intent", "-f", DEPLOYMENT, "-n", "shop").stdout
    assert text.startswith("# DeploymentIntent for Deployment orders in namespace shop\n")
    assert "does not verify it" in text
    assert all(len(line) <= 100 or "sha256:" in line for line in text.splitlines())


def test_several_workloads_and_files_make_one_intent(tmp_path: Path) -> None:
    other = tmp_path / "more.json"
    other.write_text(json.dumps(yaml.safe_load(manifest("DaemonSet", "agent"))))
    text = "---\n".join([manifest(), SERVICE, manifest("StatefulSet", "db")])
    found = printed("-f", "-", "-f", str(other), "-n", "x", "--name", "release", stdin=text)

    assert found["metadata"]["name"] == "release"
    assert [(t["kind"], t["name"]) for t in found["spec"]["targets"]] == [
        ("Deployment", "web"),
        ("StatefulSet", "db"),
        ("DaemonSet", "agent"),
    ]


def test_other_kinds_are_ignored_with_a_note() -> None:
    result = run("intent", "-f", "-", "-n", "x", stdin=manifest() + "---\n" + SERVICE)
    assert "note: ignored, not a kind that is gated: Service" in result.stderr
    assert "Service" not in result.stdout
    rollout = manifest().replace("apps/v1", "example.com/v1")
    same_kind_elsewhere = run("intent", "-f", "-", stdin=rollout, code=2)
    assert "holds no workload; allowed: Deployment, " in same_kind_elsewhere.stderr


def test_a_list_is_taken_apart() -> None:
    items = [yaml.safe_load(SERVICE), yaml.safe_load(manifest())]
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    assert printed("-f", "-", "-n", "x", stdin=text)["metadata"]["name"] == "web"


def test_a_workload_that_stands_twice_may_run_the_images_of_both() -> None:
    text = manifest(image="web:2") + "---\n" + manifest(image="web:1")
    [target] = printed("-f", "-", "-n", "x", stdin=text)["spec"]["targets"]
    assert target["images"] == ["web:1", "web:2"]


def test_the_namespace_is_the_given_one_else_the_manifest_s(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def namespace(*args: str, stdin: str) -> str:
        return str(printed("-f", "-", *args, stdin=stdin)["metadata"]["namespace"])

    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", "/none")
    assert namespace("-n", "given", stdin=manifest()) == "given"
    assert namespace("-n", "shop", stdin=manifest(namespace="shop")) == "shop"
    assert namespace(stdin=manifest(namespace="shop") + "---\n" + manifest(name="x")) == "shop"
    assert namespace(stdin=manifest()) == "default"

    config = tmp_path / "config"
    context = {"cluster": "c", "user": "u"}
    config.write_text(
        yaml.safe_dump(
            {
                "current-context": "one",
                "contexts": [
                    {"name": "one", "context": {**context, "namespace": "first"}},
                    {"name": "two", "context": {**context, "namespace": "second"}},
                    {"name": "bare", "context": context},
                ],
                "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
                "users": [{"name": "u", "user": {}}],
            }
        )
    )
    at = ("--kubeconfig", str(config))
    assert namespace(*at, stdin=manifest()) == "first"
    assert namespace(*at, "--context", "two", stdin=manifest()) == "second"
    assert namespace(*at, "--context", "bare", stdin=manifest()) == "default"
    assert namespace(*at, "--context", "none", stdin=manifest()) == "default"


def test_an_intent_is_of_one_namespace() -> None:
    two = manifest(namespace="a") + "---\n" + manifest(name="b", namespace="b")
    assert "for the namespaces a, b" in run("intent", "-f", "-", stdin=two, code=2).stderr
    one = manifest(namespace="a")
    error = run("intent", "-f", "-", "-n", "b", stdin=one, code=2).stderr
    assert "the manifests hold no workload of namespace b" in error


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (manifest(image=None), "spec.template.spec.containers[0].image: no image; allowed"),
        (manifest(image=[]), "spec.template.spec.containers[0].image: no image"),
        (manifest(image=" "), "spec.targets[0].images[0]: blank"),
        (manifest(image="x" * 513), "spec.targets[0].images[0]: has 513 characters"),
        (manifest(name="A"), "metadata.name: 'A' cannot be a name"),
        (manifest(namespace="A"), "metadata.namespace: 'A' cannot be a namespace"),
        (manifest(name="web\n# forged"), "metadata.name: 'web\\n# forged' cannot be a name"),
        ("apiVersion: apps/v1\nkind: Deployment", "metadata.name: absent"),
        (
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: x",
            "spec: not an object",
        ),
        (manifest(name="n" * 201), "is too long for an intent; give another with --name"),
        ("", "holds no object"),
        (SERVICE, "standard input: holds no workload"),
    ],
)
def test_a_manifest_that_cannot_be_used_is_told(text: str, says: str) -> None:
    result = run("intent", "-f", "-", "-n", "x", stdin=text, code=2)
    assert says in result.stderr.replace("Error: -:", "Error: standard input:")
    assert result.stdout == ""


def test_a_long_workload_gets_a_shorter_intent() -> None:
    found = printed("-f", "-", "-n", "x", "--name", "web", stdin=manifest(name="n" * 253))
    assert found["metadata"]["name"] == "web"


@pytest.mark.parametrize("name", ["y", "n", "1e3", "0o7", "007", "1.5", "on", "null", "12-30"])
def test_no_parser_takes_a_name_for_something_else(name: str) -> None:
    """YAML 1.1 and 1.2 disagree about these; quotes are understood by both."""
    workload = json.dumps({**yaml.safe_load(manifest()), "metadata": {"name": name}})
    text = run("intent", "-f", "-", "-n", "x", stdin=workload).stdout
    assert re.search(rf"""^  name: (['"]){re.escape(name)}\1$""", text, re.MULTILINE)


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ([], "name a workload, such as deployment/checkout"),
        (["checkout"], "'checkout': not a workload; allowed: KIND/NAME"),
        (["deployment/"], "not a workload"),
        (["/x"], "'' is not a kind that is gated; allowed: deployment, statefulset, "),
        (["service/x"], "'service' is not a kind that is gated"),
        (["deployment.example.com/x"], "is not a kind that is gated"),
        (["rollout.apps/x"], "is not a kind that is gated"),
        (["deployment/x-*"], "a name with * is for a Job and Pod with a generated name"),
        (["job/a*b"], "'a*b' cannot be a name"),
        (["deployment/x", "--gated-kind", "x"], "--gated-kind: 'x': not a kind; allowed: GROUP/"),
        (["deployment/A"], "deployment/A: 'A' cannot be a name"),
        (["deployment/x", "-n", "A"], "--namespace: 'A' cannot be a namespace"),
        (["deployment/x", "--name", "A"], "--name: 'A' cannot be a name"),
        (["deployment/x", "--name", "a" * 201], "--name: has 201 characters"),
        (["-f", "/none/x.yaml"], "/none/x.yaml: cannot be read"),
        (["-f", DEPLOYMENT, "-o", "xml"], "'xml' is not one of"),
    ],
)
def test_wrong_arguments_are_told(args: list[str], says: str) -> None:
    assert says in run("intent", *args, code=2).stderr


@pytest.mark.parametrize(
    ("argument", "kind"),
    [
        ("deployment/x", "Deployment"),
        ("Deployment/x", "Deployment"),
        ("deployments/x", "Deployment"),
        ("deployment.apps/x", "Deployment"),
        ("deployments.apps/x", "Deployment"),
        ("deploy/x", "Deployment"),
        ("sts/x", "StatefulSet"),
        ("statefulset/x", "StatefulSet"),
        ("ds/x", "DaemonSet"),
        ("daemonset.apps/x", "DaemonSet"),
        ("rs/x", "ReplicaSet"),
        ("replicasets/x", "ReplicaSet"),
        ("rc/x", "ReplicationController"),
        ("replicationcontroller/x", "ReplicationController"),
        ("job/x", "Job"),
        ("jobs.batch/x", "Job"),
        ("cj/x", "CronJob"),
        ("cronjob/x", "CronJob"),
        ("po/x", "Pod"),
        ("pods/x", "Pod"),
        ("podtemplate/x", "PodTemplate"),
        ("rollout/x", "Rollout"),
        ("ro/x", "Rollout"),
        ("rollout.argoproj.io/x", "Rollout"),
        ("rollouts.argoproj.io/x", "Rollout"),
        ("CloneSet.apps.kruise.io/x", "CloneSet"),
    ],
)
def test_a_workload_is_named_as_for_kubectl(argument: str, kind: str) -> None:
    found = wanted(argument)
    assert (found.kind.kind, found.name) == (kind, "x")


def test_images_can_be_named_for_what_does_not_run_yet() -> None:
    found = printed("-n", "shop", "deploy/web", "--image", "web:2", "--image", "init:1")
    assert found["spec"]["targets"] == [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "name": "web",
            "images": ["init:1", "web:2"],
        }
    ]


POD = {"containers": [{"name": "a", "image": "web:1"}]}
EVERY_KIND: dict[str, tuple[str, dict[str, Any]]] = {
    "Deployment": ("apps/v1", {"template": {"spec": POD}}),
    "StatefulSet": ("apps/v1", {"template": {"spec": POD}}),
    "DaemonSet": ("apps/v1", {"template": {"spec": POD}}),
    "ReplicaSet": ("apps/v1", {"template": {"spec": POD}}),
    "ReplicationController": ("v1", {"template": {"spec": POD}}),
    "Job": ("batch/v1", {"template": {"spec": POD}}),
    "CronJob": ("batch/v1", {"jobTemplate": {"spec": {"template": {"spec": POD}}}}),
    "Pod": ("v1", POD),
    "Rollout": ("argoproj.io/v1alpha1", {"template": {"spec": POD}}),
}


@pytest.mark.parametrize("kind", sorted(EVERY_KIND))
def test_every_gated_kind_becomes_a_target(kind: str) -> None:
    api_version, spec = EVERY_KIND[kind]
    obj = {"apiVersion": api_version, "kind": kind, "metadata": {"name": "web"}, "spec": spec}
    expected = {"apiVersion": api_version, "kind": kind, "name": "web", "images": ["web:1"]}
    assert printed("-f", "-", "-n", "x", stdin=json.dumps(obj))["spec"]["targets"] == [expected]
    argument = Workload(group_of(api_version), kind, "web").argument
    assert printed("-n", "x", argument, "--image", "web:1")["spec"]["targets"] == [expected]
    assert set(EVERY_KIND) == {k.kind for k in BUILT_IN} - {"PodTemplate"}


def test_a_generated_name_is_named_by_what_it_begins_with() -> None:
    found = printed("-n", "x", "job/migrate-*", "--image", "web:1")
    assert found["metadata"]["name"] == "migrate"
    assert found["spec"]["targets"][0]["name"] == "migrate-*"
    obj = {"apiVersion": "batch/v1", "kind": "Job", "spec": {"template": {"spec": POD}},
           "metadata": {"generateName": "migrate-"}}  # fmt: skip
    assert printed("-f", "-", "-n", "x", stdin=json.dumps(obj)) == found


def test_a_configured_kind_is_taken_where_it_is_named() -> None:
    obj = {"apiVersion": "apps.kruise.io/v1beta1", "kind": "CloneSet", "metadata": {"name": "web"},
           "spec": {"template": {"spec": POD}}}  # fmt: skip
    kind = ("--gated-kind", "apps.kruise.io/CloneSet=spec.template")
    [target] = printed("-f", "-", "-n", "x", *kind, stdin=json.dumps(obj))["spec"]["targets"]
    assert (target["apiVersion"], target["kind"]) == ("apps.kruise.io/v1beta1", "CloneSet")
    assert "holds no workload" in run("intent", "-f", "-", stdin=json.dumps(obj), code=2).stderr
    # As a denial names it, without the option.
    [named] = printed("-n", "x", "CloneSet.apps.kruise.io/web", "--image", "a")["spec"]["targets"]
    assert (named["apiVersion"], named["kind"]) == ("apps.kruise.io/v1", "CloneSet")


def test_a_rollout_takes_the_images_of_what_it_refers_to() -> None:
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    obj = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "web"},
           "spec": {"workloadRef": reference}}  # fmt: skip
    text = json.dumps(obj) + "\n" + json.dumps(yaml.safe_load(manifest()))
    targets = printed("-f", "-", "-n", "x", stdin=text)["spec"]["targets"]
    assert [(t["kind"], t["images"]) for t in targets] == [
        ("Rollout", ["web:1"]),
        ("Deployment", ["web:1"]),
    ]
    alone = run("intent", "-f", "-", "-n", "x", stdin=json.dumps(obj), code=2).stderr
    assert "spec.workloadRef: takes the images of Deployment web, which is not there" in alone
    reference["kind"] = "StatefulSet"
    wrong = run("intent", "-f", "-", "-n", "x", stdin=json.dumps(obj), code=2).stderr
    assert "spec.workloadRef: StatefulSet of apps/v1 is not gated" in wrong


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["deploy/a", "deploy/b", "--image", "x"], "--image: says what one workload is to run"),
        (["deploy/a", "--image", "x", "-f", DEPLOYMENT], "name one, and no file"),
        (["-f", DEPLOYMENT, "--image", "x"], "name one, and no file"),
        (["--image", "x"], "name a workload"),
        (["deploy/a", "--image", ""], "spec.targets[0].images[0]: empty"),
    ],
)
def test_images_are_named_for_one_workload(args: list[str], says: str) -> None:
    assert says in run("intent", "-n", "x", *args, code=2).stderr


def test_manifests_are_read_without_a_client() -> None:
    code = (
        "import sys; from cabgate_cli.main import main\n"
        f"main(['intent', '-f', {DEPLOYMENT!r}, '-n', 'x'], standalone_mode=False)\n"
        "assert not {'kubernetes', 'urllib3'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
