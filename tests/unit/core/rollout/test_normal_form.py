# SPDX-License-Identifier: Apache-2.0
"""The normal form t1: what the API server defaults changes nothing, what counts changes it."""

import copy
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cabgate.api.types import MAX_TEMPLATE_FIELDS
from cabgate.rollout.normal_form import normal_form
from cabgate.rollout.pods import PodTemplateError
from cabgate.rollout.templates import (
    Template,
    differing,
    is_required,
    may_be_required,
    template_of_forms,
)
from cabgate.rollout.workloads import configured_kind, template_of
from cabgate.text.canonical import canonical_json
from support.examples import examples
from unit.core.rollout.templates import (
    COUNTS,
    DEFAULTS,
    KINDS,
    LEFT_OUT,
    TEMPLATE,
    app,
    digest,
    with_change,
)


@pytest.mark.parametrize("change", DEFAULTS.values(), ids=DEFAULTS)
def test_what_the_api_server_defaults_changes_nothing(change):
    assert digest(with_change(change)) == digest(TEMPLATE)


@pytest.mark.parametrize("change", LEFT_OUT.values(), ids=LEFT_OUT)
def test_what_is_left_out_changes_nothing(change):
    assert digest(with_change(change)) == digest(TEMPLATE)


@pytest.mark.parametrize("path", COUNTS)
def test_what_counts_changes_it_and_is_named(path):
    before, now = (
        template_of_forms([normal_form(each)]) for each in (TEMPLATE, with_change(COUNTS[path]))
    )
    assert before.digest != now.digest
    named = differing(now, before.fields)
    # Under the network of the node, the ports of the node say nothing more.
    more = {"hostNetwork": ["containers[app].ports"]}.get(path, [])
    # A container of which nothing was said but its name is a part as a whole.
    shown = "containers[proxy]" if path.startswith("containers[proxy]") else path
    assert named == sorted([shown, *more])


CHANGES = st.sampled_from(sorted(COUNTS))


@settings(max_examples=examples(300))
@given(defaults=st.sets(st.sampled_from(sorted(DEFAULTS))), counts=st.sets(CHANGES, max_size=3))
def test_defaults_hide_no_change_and_make_none(defaults, counts):
    plain = copy.deepcopy(TEMPLATE)
    for name in sorted(counts):
        try:
            COUNTS[name](plain["spec"])
        except (KeyError, IndexError):
            return  # two of them are about one thing
    full = copy.deepcopy(plain)
    for name in sorted(defaults):
        try:
            before = copy.deepcopy(full)
            DEFAULTS[name](full["spec"])
        except (KeyError, IndexError):
            full = before
    undone = {"hostPID", "dnsPolicy", "hostUsers", "hostNetwork", "hostIPC",
              "shareProcessNamespace", "serviceAccountName", "setHostnameAsFQDN",
              "enableServiceLinks"}  # fmt: skip
    if undone & counts and {"switches", "of the pod", "account"} & defaults:
        return  # the default takes the change back
    for taken_back in (
        ("containers[app].securityContext", "rights"),
        ("volumes[data]", "empty source"),
        ("containers[app].livenessProbe", "probe"),
        ("initContainers.order", "switches"),
        ("containers[app].terminationMessagePath", "termination"),
        *((f"containers[app].{each}", "no terminal") for each in ("stdin", "stdinOnce", "tty")),
        ("containers[proxy].securityContext", "empty context"),
        ("containers[app].devices", "empty context"),
    ):
        if taken_back[0] in counts and taken_back[1] in defaults:
            return
    assert digest(full) == digest(plain)
    assert (digest(plain) == digest(TEMPLATE)) is (not counts)


EMPTY = st.sampled_from([None, [], {}, ""])
SPEC_FIELDS = ["initContainers", "volumes", "securityContext", "hostAliases", "dnsConfig"]
CONTAINER_FIELDS = ["command", "args", "env", "envFrom", "volumeMounts", "volumeDevices", "ports",
                    "securityContext", "lifecycle", "livenessProbe", "resources"]  # fmt: skip
BARE = {"spec": {"containers": [{"name": "app", "image": "app:1"}]}}


@settings(max_examples=examples(200))
@given(st.dictionaries(st.sampled_from(SPEC_FIELDS + CONTAINER_FIELDS), EMPTY))
def test_null_empty_and_absent_are_the_same(fields):
    template = copy.deepcopy(BARE)
    for name, value in fields.items():
        is_list = name not in ("securityContext", "dnsConfig", "lifecycle", "livenessProbe",
                               "resources")  # fmt: skip
        fitting = value if isinstance(value, list if is_list else dict) else None
        where = template["spec"] if name in SPEC_FIELDS else app(template["spec"])
        where[name] = fitting
    assert digest(template) == digest(BARE)


@settings(max_examples=examples(200))
@given(st.permutations(range(3)), st.booleans())
def test_the_order_of_variables_counts_where_it_can_mean_something(order, expands):
    values = ["a", "b$(X0)" if expands else "b", "c"]
    env = [{"name": f"X{n}", "value": value} for n, value in enumerate(values)]
    first, other = copy.deepcopy(BARE), copy.deepcopy(BARE)
    app(first["spec"])["env"] = env
    app(other["spec"])["env"] = [env[n] for n in order]
    same = digest(first) == digest(other)
    assert same is (not expands or list(order) == [0, 1, 2])


def test_what_a_field_that_counts_holds_counts_whole_known_or_not():
    """What only a later Kubernetes knows, or an API server that keeps whatever is sent."""
    for change in (
        lambda s: s["securityContext"].update(newRight="all"),
        lambda s: app(s)["securityContext"].update(newRight={"of": ["all"]}),
        lambda s: app(s)["env"][1]["valueFrom"].update(newRef={"name": "x"}),
        lambda s: s["volumes"][1].update(newSource={"path": "/"}),
        lambda s: s["volumes"][0].update(emptyDir={"newWay": "all"}),
        lambda s: app(s)["volumeMounts"][0].update(newWay="all"),
    ):
        assert digest(with_change(change)) != digest(TEMPLATE)


@pytest.mark.parametrize(
    ("before", "now"),
    [
        # Its class by the annotation of before, which goes before the field.
        ({"ephemeral": {"volumeClaimTemplate": {"spec": {}}}},
         {"ephemeral": {"volumeClaimTemplate": {"spec": {}, "metadata": {"annotations": {
             "volume.beta.kubernetes.io/storage-class": "other"}}}}}),
        # Of the authorities of a signer none, or all.
        ({"projected": {"sources": [{"clusterTrustBundle": {"signerName": "a/b", "path": "ca"}}]}},
         {"projected": {"sources": [{"clusterTrustBundle": {
             "signerName": "a/b", "path": "ca", "labelSelector": {}}}]}}),
        ({"projected": {"sources": [{"clusterTrustBundle": {"labelSelector": {}}}]}},
         {"projected": {"sources": [{"clusterTrustBundle": {"labelSelector": {
             "matchLabels": {"trusted": ""}}}}]}}),
        # What a driver of a volume makes of an empty text, nobody else knows.
        ({"csi": {"driver": "d"}}, {"csi": {"driver": "d", "volumeAttributes": {"all": ""}}}),
        ({"flexVolume": {"driver": "d"}}, {"flexVolume": {"driver": "d", "options": {"all": ""}}}),
    ],
)  # fmt: skip
def test_what_a_volume_is_made_of_counts(before, now):
    first, other = (
        with_change(lambda s, source=source: s.update(volumes=[{"name": "v", **source}]), BARE)
        for source in (before, now)
    )
    assert digest(first) != digest(other)


def claim(name="data", **spec):
    return {"metadata": {"name": name},
            "spec": {"accessModes": ["ReadWriteOnce"],
                     "resources": {"requests": {"storage": "1Gi"}}, **spec}}  # fmt: skip


def test_of_a_volume_empty_and_absent_are_the_same_where_the_api_server_stores_neither():
    for before, now in (
        ({"csi": {"driver": "d"}}, {"csi": {"driver": "d", "volumeAttributes": {}}}),
        ({"flexVolume": {"driver": "d"}}, {"flexVolume": {"driver": "d", "options": {}}}),
        ({"emptyDir": {}}, {"emptyDir": {"medium": "", "sizeLimit": "1Gi"}}),
    ):
        first, other = (
            with_change(lambda s, source=source: s.update(volumes=[{"name": "v", **source}]), BARE)
            for source in (before, now)
        )
        assert digest(first) == digest(other)


def test_the_claims_of_a_stateful_set_count_as_its_volumes():
    """One by the name of a volume of the template takes the place of that."""
    kind = KINDS["StatefulSet"]
    before = template_of(kind, {"spec": {"template": BARE, "volumeClaimTemplates": [claim()]}})
    for claims in (
        [],
        [claim("other")],
        [claim(), claim("conf")],
        [claim(volumeName="somebody-elses")],
        [claim(dataSource={"kind": "VolumeSnapshot", "name": "x"})],
    ):
        now = template_of(kind, {"spec": {"template": BARE, "volumeClaimTemplates": claims}})
        assert now.digest != before.digest
        named = differing(now, before.fields)
        assert named
        assert all(each.startswith("volumeClaimTemplates") for each in named)
    stored = {**claim(volumeMode="Filesystem", resources={"requests": {"storage": "9Gi"}}),
              "apiVersion": "v1", "kind": "PersistentVolumeClaim",
              "status": {"phase": "Pending"}}  # fmt: skip
    stored["metadata"]["creationTimestamp"] = None
    obj = {"spec": {"template": BARE, "volumeClaimTemplates": [stored]}}
    assert template_of(kind, obj).digest == before.digest
    assert template_of(kind, {"spec": {"template": BARE}}).digest == digest(BARE)
    with pytest.raises(PodTemplateError, match=r"spec\.volumeClaimTemplates\[0\]\.metadata"):
        template_of(kind, {"spec": {"template": BARE, "volumeClaimTemplates": [{"spec": {}}]}})


def test_claims_beside_a_pod_template_of_a_configured_kind_count_too():
    kind = configured_kind("apps.kruise.io/CloneSet=spec.template")
    plain, more = (
        template_of(kind, {"spec": {"template": BARE, "volumeClaimTemplates": claims}}).digest
        for claims in ([], [claim()])
    )
    assert plain == digest(BARE) != more


def test_of_two_variables_with_one_name_the_order_counts():
    first, other = copy.deepcopy(BARE), copy.deepcopy(BARE)
    env = [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]
    app(first["spec"])["env"], app(other["spec"])["env"] = env, env[::-1]
    assert digest(first) != digest(other)


def test_no_value_of_a_variable_stands_in_it():
    form = normal_form(TEMPLATE)
    text = canonical_json(form).decode()
    assert '"info"' not in text
    assert '"LEVEL"' in text
    assert len(text) < 16 * 1024


def test_it_is_the_same_in_every_release():
    """The form never changes: digests that stand in approvals would mean something else."""
    bare, full = (each.removeprefix("t1:sha256:") for each in (digest(BARE), digest(TEMPLATE)))
    assert bare == "43fe2b04998037c98287c65087e0a1d6ebc28677a3f7ccd46ff58efbe1ba6c2a"
    assert full == "2aca9701c9f501fe734b9421d21b76508edf8649710ad21bd5c2c00445b3296c"


def test_a_job_has_the_template_of_its_cron_job_and_a_pod_that_of_both():
    spec = BARE["spec"]
    cron = {"spec": {"jobTemplate": {"spec": {"template": BARE}}}}
    found = {
        template_of(KINDS["CronJob"], cron).digest,
        template_of(KINDS["Job"], {"spec": {"template": BARE}}).digest,
        template_of(KINDS["Pod"], {"spec": spec}).digest,
        template_of(KINDS["PodTemplate"], {"template": BARE}).digest,
    }
    assert found == {digest(BARE)}


def test_a_rollout_that_refers_to_a_workload_has_the_template_of_that():
    kind = KINDS["Rollout"]
    ref = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    obj = {"spec": {"workloadRef": ref}}
    assert template_of(kind, obj) is None
    assert template_of(kind, obj, {"spec": {"template": BARE}}).digest == digest(BARE)
    both = template_of(kind, {"spec": {"workloadRef": ref, "template": TEMPLATE}}, {
        "spec": {"template": BARE}})  # fmt: skip
    assert both.digest not in (digest(BARE), digest(TEMPLATE))


def test_of_several_pod_templates_each_counts():
    kind = configured_kind("batch.example.com/Graph=spec.tasks[*].template")
    one = template_of(kind, {"spec": {"tasks": [{"template": BARE}, {"template": TEMPLATE}]}})
    two = template_of(kind, {"spec": {"tasks": [{"template": BARE}, {"template": with_change(
        COUNTS["containers[app].command"])}]}})  # fmt: skip
    assert one.digest != two.digest
    assert differing(two, one.fields) == ["[1].containers[app].command"]


TOKEN = {
    "name": "kube-api-access-x7k2p",
    "projected": {
        "defaultMode": 420,
        "sources": [
            {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt",
                           "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {
                "apiVersion": "v1", "fieldPath": "metadata.namespace"}}]}},
        ],
    },
}  # fmt: skip
MOUNT = {"name": "kube-api-access-x7k2p", "readOnly": True,
         "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}  # fmt: skip


def with_token(volume=TOKEN, mount=MOUNT, **spec):
    made = {"containers": [{**BARE["spec"]["containers"][0], "volumeMounts": [mount]}],
            "volumes": [volume], **spec}  # fmt: skip
    return {"spec": made}


def test_the_token_that_the_api_server_adds_to_a_pod_changes_nothing():
    pod = KINDS["Pod"]
    assert template_of(pod, with_token()).digest == digest(BARE)
    # Anything else by that name does, and so does the very same in a template.
    more = copy.deepcopy(TOKEN)
    more["projected"]["sources"].append({"secret": {"name": "s"}})
    others = [
        template_of(pod, with_token(more)),
        template_of(pod, with_token(mount={**MOUNT, "mountPath": "/x"})),
        template_of(pod, with_token(mount={**MOUNT, "readOnly": False})),
        template_of(pod, with_token({"name": TOKEN["name"], "hostPath": {"path": "/"}})),
        template_of(KINDS["Deployment"], {"spec": {"template": with_token()}}),
    ]
    assert digest(BARE) not in {each.digest for each in others}
    off = {"automountServiceAccountToken": False}
    assert (
        template_of(pod, with_token(**off)).digest
        != template_of(pod, {"spec": {**BARE["spec"], **off}}).digest
    )


def test_an_annotation_that_sets_the_profile_of_a_container_counts_as_the_field():
    key = "container.apparmor.security.beta.kubernetes.io/app"
    for said, profile in (
        ("unconfined", {"type": "Unconfined"}),
        ("runtime/default", {"type": "RuntimeDefault"}),
        ("localhost/mine", {"type": "Localhost", "localhostProfile": "mine"}),
    ):
        by_note = {"metadata": {"annotations": {key: said}}, **copy.deepcopy(BARE)}
        by_field = copy.deepcopy(BARE)
        app(by_field["spec"])["securityContext"] = {"appArmorProfile": profile}
        assert digest(by_note) == digest(by_field) != digest(BARE)


@pytest.mark.parametrize(
    ("template", "path"),
    [
        ({"spec": {"containers": [{"image": "a"}]}}, "spec.template.spec.containers[0].name"),
        ({"spec": {"containers": [{"name": "a"}, {"name": "a"}]}}, "spec.template.spec.containers"),
        ({"spec": {"containers": [{"name": "a", "command": "sh"}]}}, "containers[0].command"),
        ({"spec": {"containers": [{"name": "a", "env": [{"name": 1}]}]}}, "containers[0].env[0]"),
        ({"spec": {"volumes": [{"name": "v", "hostPath": "/"}]}}, "volumes[0].hostPath"),
        ({"spec": {"volumes": [{}]}}, "volumes[0].name"),
    ],
)
def test_what_cannot_be_read_is_told_by_its_path(template, path):
    with pytest.raises(PodTemplateError, match=re.escape(path)):
        normal_form(template)


def test_a_number_that_json_cannot_say_has_no_normal_form():
    template = copy.deepcopy(BARE)
    app(template["spec"])["securityContext"] = {"runAsUser": 2**60}
    with pytest.raises(PodTemplateError):
        digest(template)


def test_many_parts_are_told_more_coarsely():
    many = {"spec": {"containers": [
        {"name": f"c{n}", "image": "a", "command": ["a"], "args": ["b"]} for n in range(40)
    ]}}  # fmt: skip
    before = template_of_forms([normal_form(many)])
    assert len(before.fields) <= MAX_TEMPLATE_FIELDS
    changed = copy.deepcopy(many)
    changed["spec"]["containers"][7]["args"] = ["x"]
    changed["spec"]["hostPID"] = True
    now = template_of_forms([normal_form(changed)])
    assert differing(now, before.fields) == ["containers[c7]", "hostPID"]
    assert differing(now, []) == []
    assert differing(Template("t1:sha256:0"), before.fields) == sorted(
        each.partition("=")[0] for each in before.fields
    )


@pytest.mark.parametrize(
    ("value", "required_from"),
    [(None, 9), ("0", 0), ("2", 2), ("3", 3), ("4", 4), ("", 0), ("5", 0), ("three", 0), ("03", 0)],
)
def test_a_label_says_from_which_ring_on_it_is_asked(value, required_from):
    labels = {} if value is None else {"cabgate.dev/require-template": value}
    assert [ring for ring in range(5) if is_required(labels, ring)] == list(range(required_from, 5))
    assert may_be_required(labels) is (value is not None)
    assert not is_required(None, 4)
