# SPDX-License-Identifier: Apache-2.0
"""What cert-manager is asked for."""

from support.templates import of

MANAGED = {"mode": "cert-manager"}
THEIRS = {"name": "platform", "kind": "ClusterIssuer", "group": "cert-manager.io"}


@of("certificates/cert-manager.yaml")
def test_cert_manager_makes_what_the_webhook_mounts_and_renews_its_ca_without_a_gap(render):
    assert not render().all("Certificate")
    assert not render().all("Issuer")
    made = render(certificates=MANAGED)
    leaf = made.one("Certificate", "cabgate-webhook")["spec"]
    assert leaf["dnsNames"] == ["cabgate-webhook.cabgate-system.svc"]
    assert (leaf["duration"], leaf["renewBefore"]) == ("2160h", "720h")
    pod = made.one("Deployment", "cabgate-webhook")["spec"]["template"]["spec"]
    mounted = {each.get("secret", {}).get("secretName") for each in pod["volumes"]}
    assert leaf["secretName"] in mounted
    authority = made.one("Certificate", "cabgate-webhook-ca")["spec"]
    assert authority["isCA"] is True
    assert authority["secretName"] not in mounted
    assert authority["issuerRef"]["name"] == "cabgate-self-signed"
    assert made.one("Issuer", "cabgate-self-signed")["spec"] == {"selfSigned": {}}
    issuer = made.one("Issuer", leaf["issuerRef"]["name"])
    assert issuer["spec"] == {"ca": {"secretName": authority["secretName"]}}
    # cert-manager does not know of an overlap of two CAs: the key of the CA must not change.
    assert authority["privateKey"]["rotationPolicy"] == "Never"
    assert leaf["privateKey"]["rotationPolicy"] == "Always"


def test_the_two_modes_never_write_the_same_ca(render):
    """Each keeps its CA in a form that the other cannot use, in a Secret whose type is for ever."""
    (role,) = [
        each for each in render().all("Role") if each["metadata"]["name"] == "cabgate-certificates"
    ]
    written = {name for rule in role["rules"] for name in rule.get("resourceNames", ())}
    made = render(certificates=MANAGED)
    assert made.one("Certificate", "cabgate-webhook-ca")["spec"]["secretName"] not in written
    assert made.one("Certificate", "cabgate-webhook")["spec"]["secretName"] in written


def test_an_issuer_that_somebody_names_signs_and_the_chart_makes_none(render):
    made = render(certificates={**MANAGED, "certManager": {"issuerRef": THEIRS}})
    assert made.one("Certificate", "cabgate-webhook")["spec"]["issuerRef"] == THEIRS
    assert not made.all("Issuer")
    assert len(made.all("Certificate")) == 1


def test_both_configurations_have_the_ca_of_that_certificate_injected(render):
    for kind in ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"):
        assert "annotations" not in render().one(kind, "cabgate")["metadata"]
        managed = render(certificates=MANAGED)
        assert managed.one(kind, "cabgate")["metadata"]["annotations"] == {
            "cert-manager.io/inject-ca-from": "cabgate-system/cabgate-webhook"
        }
        assert managed.has("Certificate", "cabgate-webhook")
