# SPDX-License-Identifier: Apache-2.0
"""`GET /check`: what the gate would decide, as far as the caller may know what that rests on."""

import pytest

from cabgate.api import CABRequest
from cabgate.rollout.installation import parse_installation
from cabgate.rollout.rollout import Rollout
from cabgate.rollout.targets import Workload
from cabgate.rollout.templates import MAX_SOURCE_BYTES, ring_template
from cabgate.rollout.workloads import kind_of, template_of
from cabgate.views.explained import Surroundings, explained, explained_view
from cabgate.views.plain import plain
from cabgate_kube.transport import HttpAnswer
from cabgate_samples.models import NOW, by_person, request, target
from cabgate_samples.objects import workload
from support.freezes import freeze
from support.promotion import DAY, outcome, promoted, row, running
from support.promotion import IMAGE as RELEASED
from unit.portal.fake_api import status
from unit.portal.portals import Made, stored

INSTALLATION = "/api/v1/namespaces/cabgate-system/configmaps/cabgate-installation"
NAMESPACE = "/api/v1/namespaces/shop"
DEPLOYMENT = "/apis/apps/v1/namespaces/shop/deployments/checkout"
FREEZES = "/apis/cabgate.dev/v1alpha1/changefreezes"
OUTCOMES = "/apis/cabgate.dev/v1alpha1/rolloutoutcomes"
SETTINGS = {
    "defaultRing": "0",
    "mode": "Enforce",
    "excludedNamespaces": "kube-system",
    "gatedKinds": "apps.kruise.io/CloneSet=spec.template",
    "appVersion": "0.1.0",
    "chartVersion": "0.1.0",
    "builtInKinds": "",
}


class Shop(Made):
    """A portal whose API server knows a namespace, of which some paths may not be read."""

    def __init__(self, ring="2", forbidden=(), running=True, **spec):
        super().__init__()
        labels = {} if ring is None else {"cabgate.dev/ring": ring}
        self.request, self.digest = stored(**spec)
        self.images = self.request["spec"]["targets"][0]["images"]
        self.api.objects |= {
            INSTALLATION: {"data": SETTINGS},
            NAMESPACE: {"metadata": {"name": "shop", "labels": labels}},
        }
        if running:
            self.api.objects[DEPLOYMENT] = workload("shop", name="checkout", images=self.images)
        for path in forbidden:
            self.api.forbidden.add(path)
        self.api.put("cabrequests", self.request)

    async def check(self, **query):
        given = {"namespace": "shop", "workload": "deployment/checkout", **query}
        answer = await self.call("GET", "/check", params=given)
        assert answer.status_code == 200, answer.text
        assert self.api.wrong == []
        return answer.json()


async def test_it_is_what_the_gate_would_decide():
    made = Shop()
    found = await made.check()
    assert found["allowed"] is found["admitted"] is False
    assert found["reason"] == "Waiting" or found["reason"]
    (look,) = found["requests"]
    assert look["name"] == made.request["metadata"]["name"]
    assert found["images"] == sorted(made.images)
    assert found["notes"] == []
    settings = parse_installation(SETTINGS)
    request = CABRequest.model_validate(made.request)
    rollout = Rollout("shop", Workload("apps", "Deployment", "checkout"), tuple(made.images))
    around = Surroundings(settings, {"cabgate.dev/ring": "2"}, {}, {})
    expected = plain(explained_view(explained(rollout, around, [request], [], NOW)))
    assert {key: found[key] for key in expected} == expected


async def test_other_images_are_judged_without_what_the_containers_do():
    made = Shop()
    found = await made.check(image=["evil:1", "evil:2"])
    assert (found["allowed"], found["images"]) == (False, ["evil:1", "evil:2"])
    assert found["reason"] == "ImagesNotCovered" or "evil" in found["message"]
    assert "containers" in found["notes"][0]


@pytest.mark.parametrize(
    ("ring", "options", "allowed"),
    [
        ("0", {}, True),
        ("1", {}, True),
        ("2", {}, False),
        ("9", {}, False),
        (None, {}, True),
        # Whoever may not read the ring is not told yes.
        ("0", {"forbidden": [NAMESPACE]}, None),
        ("2", {"forbidden": [NAMESPACE]}, None),
        ("0", {"forbidden": [INSTALLATION]}, True),
        ("2", {"forbidden": [INSTALLATION]}, None),
        (None, {"forbidden": [INSTALLATION]}, None),
    ],
)
async def test_what_is_not_known_is_never_a_yes(ring, options, allowed):
    made = Shop(ring, **options)
    found = await made.check()
    assert found["allowed"] is allowed
    assert bool(found["notes"]) == bool(options)
    if allowed is None:
        assert found["reason"]
        assert found["message"]
        assert found["admitted"] is None


@pytest.mark.parametrize("options", [{"forbidden": [DEPLOYMENT]}, {"running": False}])
async def test_a_label_of_its_own_may_gate_a_workload_that_cannot_be_read(options):
    made = Shop("0", **options)
    found = await made.check(image="new:1")
    assert found["allowed"] is None
    assert any("label" in note for note in found["notes"])
    path = "/check?namespace=shop&workload=deployment/checkout"
    answer = await made.call("GET", path)
    assert answer.status_code == (403 if "forbidden" in options else 404)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"workload": "deployment"}, "workload"),
        ({"workload": "deployment/"}, "workload"),
        ({"workload": "deployment/../../secrets"}, "workload"),
        ({"workload": "deployment/a%2Fb"}, "workload"),
        ({"workload": "secret/checkout"}, "workload"),
        ({"workload": "deployment/checkout-*"}, "workload"),
        ({"workload": "job/migrate-*"}, "image"),
        ({"workload": "CloneSet.apps.kruise.io/checkout"}, "image"),
        ({"image": ""}, "image.0"),
        ({"image": "web 1"}, "image.0"),
        ({"image": "web:\u202e1"}, "image.0"),
        ({"namespace": "../x"}, "namespace"),
    ],
)
async def test_what_names_no_workload_is_refused(query, field):
    made = Shop()
    given = {"namespace": "shop", "workload": "deployment/checkout", **query}
    answer = await made.call("GET", "/check", params=given)
    assert (answer.status_code, answer.json()["field"]) == (400, field), answer.text
    assert made.api.wrong == []


async def test_of_generated_names_and_configured_kinds_the_images_are_named():
    made = Shop()
    for name in ("job/migrate-*", "CloneSet.apps.kruise.io/checkout"):
        found = await made.check(workload=name, image="x:1")
        assert (found["allowed"], found["reason"]) == (False, "NoRequest")


@pytest.mark.parametrize(("size", "allowed"), [(1, True), (MAX_SOURCE_BYTES, False)])
async def test_what_is_too_large_for_the_gate_is_no_yes(size, allowed):
    obj = workload("shop", name="checkout", images=["web:1"])
    deployment = kind_of("apps/v1", "Deployment")
    said = {**target("checkout", "web:1"),
            "template": template_of(deployment, obj).digest}  # fmt: skip
    obj["spec"]["template"]["metadata"]["annotations"] = {"a": "x" * size}
    made = Shop()
    approved = request("ManualReview", by_person("Approved"), targets=[said]).to_dict()
    made.api.objects[DEPLOYMENT] = obj
    made.api.objects = {k: v for k, v in made.api.objects.items() if "cabrequests" not in k}
    made.api.put("cabrequests", {**made.request, **approved})
    found = await made.check()
    assert (found["allowed"], found["reason"]) == (
        allowed,
        "RequestApproved" if allowed else "TemplateNotCovered",
    )


async def test_an_api_server_that_fails_is_no_answer():
    made = Shop()
    made.api.answers = [HttpAnswer(500, status(500, "InternalError", "etcd"))] * 9
    answer = await made.call("GET", "/check?namespace=shop&workload=deployment/checkout")
    assert answer.status_code == 502


@pytest.mark.parametrize(
    ("labelled", "forbidden", "held", "allowed", "notes"),
    [
        (False, (), True, True, 0),
        (True, (), False, True, 0),
        (True, (), True, None, 1),
        (True, (FREEZES,), True, None, 1),
    ],
    ids=["no policy", "no freeze", "a freeze", "not readable"],
)
async def test_within_a_freeze_the_answer_is_no_yes(labelled, forbidden, held, allowed, notes):
    made = Shop(forbidden=forbidden)
    approved = request("ManualReview", by_person("Approved")).to_dict()
    made.api.objects = {k: v for k, v in made.api.objects.items() if "cabrequests" not in k}
    made.api.put("cabrequests", {**made.request, **approved})
    target_images = approved["spec"]["targets"][0]["images"]
    made.api.objects[DEPLOYMENT] = workload("shop", name="checkout", images=target_images)
    if labelled:
        made.api.objects[NAMESPACE]["metadata"]["labels"]["cabgate.dev/change-policy"] = "board"
    if held:
        made.api.objects[f"{FREEZES}/christmas"] = freeze()
    found = await made.check()
    assert (found["allowed"], len(found["notes"])) == (allowed, notes)
    assert (found["reason"] == "Frozen") is (allowed is None)


RUNS = workload("shop", name="checkout", images=[RELEASED])
TEMPLATE = ring_template(template_of(kind_of("apps/v1", "Deployment"), RUNS))
OVERRIDDEN = by_person("Approved", overrides=["promotion.ring-4"])


GONE = running(workload("shop-2", name="checkout", images=["web:9"]))
ELSEWHERE = DEPLOYMENT.replace("/shop/", "/shop-2/")


class Released(Shop):
    """One in which a release is approved, and comes to ring 3."""

    def __init__(self, *outcomes, forbidden=(), ring="3", asks=None, elsewhere=None):
        super().__init__(ring, forbidden=forbidden)
        approved = (asks or promoted()).to_dict()
        self.api.objects = {k: v for k, v in self.api.objects.items() if "cabrequests" not in k}
        self.api.put("cabrequests", {**self.request, **approved})
        self.api.objects[DEPLOYMENT] = RUNS
        for number, each in enumerate(outcomes):
            self.api.objects[f"{OUTCOMES}/{number}"] = each.to_dict()
        self.api.objects[ELSEWHERE] = elsewhere or running(RUNS)


@pytest.mark.parametrize(
    ("options", "query", "allowed"),
    [
        ({"outcomes": [outcome(template=TEMPLATE)]}, {}, True),
        ({"outcomes": [outcome(DAY, template=TEMPLATE)]}, {}, None),
        # Where it ran it does not run now, or nobody may read whether it does.
        ({"outcomes": [outcome(template=TEMPLATE)], "elsewhere": GONE}, {}, None),
        ({"outcomes": [outcome(template=TEMPLATE)], "forbidden": [ELSEWHERE]}, {}, None),
        ({"outcomes": [outcome()]}, {}, None),  # another template
        ({"outcomes": []}, {}, None),
        ({"outcomes": [outcome(template=TEMPLATE)], "forbidden": [OUTCOMES]}, {}, None),
        # What the containers do is not known of images alone.
        ({"outcomes": [outcome(template=TEMPLATE)]}, {"image": RELEASED}, None),
        ({"ring": "2"}, {}, True),
        # Whose ring is not known, nobody knows which ring comes first, or which is overridden.
        ({"outcomes": [outcome(template=TEMPLATE)], "forbidden": [NAMESPACE]}, {}, None),
        ({"asks": promoted(OVERRIDDEN, rows=[row(), row(4, 3)])}, {}, None),
        ({"asks": promoted(OVERRIDDEN, rows=[row(), row(4, 3)]), "ring": "4"}, {}, True),
        (
            {"asks": promoted(OVERRIDDEN, rows=[row(), row(4, 3)]), "forbidden": [NAMESPACE]},
            {},
            None,
        ),
    ],
)
async def test_before_its_ring_the_answer_is_no_yes(options, query, allowed):
    given = {key: value for key, value in options.items() if key != "outcomes"}
    made = Released(*options.get("outcomes", ()), **given)
    found = await made.check(**query)
    assert found["allowed"] is allowed
    assert bool(found["notes"]) or options.get("ring") == "2"
    if allowed is None:
        assert found["reason"] == "PreviousRingPending"
