# SPDX-License-Identifier: Apache-2.0
"""The Pods of the REST API: off by default, without rights, and without a token of their own."""

import pytest

from cabgate_devcluster import DevClusterError
from support.templates import of

ON = {"enabled": True, "tlsSecret": "portal-tls"}


OIDC = {
    "issuer": "https://dex.example.com/dex",
    "pageUrl": "https://cabgate.example.com",
    "clientId": "cabgate",
    "secret": "cabgate-oidc",
}
"""A login for the page."""


def objects(made):
    """What there is of the portal, by kind."""
    return {
        each["kind"]: each for each in made.objects if each["metadata"]["name"] == "cabgate-portal"
    }


def test_there_is_none_unless_it_is_asked_for(render):
    assert objects(render()) == {}


def test_it_is_not_run_without_a_certificate(render):
    with pytest.raises(DevClusterError, match="tlsSecret"):
        render(portal={"enabled": True})


@of("portal/serviceaccount.yaml")
def test_it_has_no_right_and_no_token(render):
    made = render(portal=ON)
    assert set(objects(made)) == {
        "ServiceAccount", "Service", "Deployment", "NetworkPolicy", "PodDisruptionBudget"
    }  # fmt: skip
    account = made.one("ServiceAccount", "cabgate-portal")
    assert account["automountServiceAccountToken"] is False
    spec = made.one("Deployment", "cabgate-portal")["spec"]["template"]["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["serviceAccountName"] == "cabgate-portal"
    assert spec["securityContext"]["runAsNonRoot"] is True
    volumes = {each["name"]: each for each in spec["volumes"]}
    assert volumes["tls"]["secret"]["secretName"] == "portal-tls"
    assert volumes["api-server-ca"]["configMap"]["name"] == "kube-root-ca.crt"
    assert len(volumes) == 2
    for binding in (*made.all("RoleBinding"), *made.all("ClusterRoleBinding")):
        for subject in binding.get("subjects") or ():
            assert subject["name"] != "cabgate-portal"
            assert "serviceaccounts" not in subject["name"]


@of("portal/deployment.yaml")
def test_the_portal_is_run_as_the_values_say(render):
    made = render(
        portal={**ON, "callsPerSecond": 5, "drainSeconds": 30, "replicas": 3, "logFormat": "text"},
        machineUserPrefixes=["github:"],
    )
    container = made.container("portal")
    assert container["command"] == ["cabgate-portal"]
    for each in ("--calls-per-second=5", "--drain-seconds=30", "--log-format=text",
                 "--machine-user-prefix=github:", "--certificate=/etc/cabgate/tls/tls.crt",
                 "--api-server-ca=/etc/cabgate/api-server-ca/ca.crt"):  # fmt: skip
        assert each in container["args"]
    mounts = {each["mountPath"] for each in container["volumeMounts"]}
    assert mounts == {"/etc/cabgate/tls", "/etc/cabgate/api-server-ca"}
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    deployment = made.one("Deployment", "cabgate-portal")["spec"]
    assert deployment["replicas"] == 3
    assert deployment["template"]["spec"]["terminationGracePeriodSeconds"] == 70


def selected(made):
    """What finds the Pods, as their Deployment does."""
    deployment = made.one("Deployment", "cabgate-portal")["spec"]
    selector = deployment["selector"]["matchLabels"]
    assert selector.items() <= deployment["template"]["metadata"]["labels"].items()
    return selector


@of("portal/service.yaml")
def test_its_pods_are_found(render):
    made = render(portal=ON)
    service = made.one("Service", "cabgate-portal")["spec"]
    assert service["ports"] == [{"name": "api", "port": 443, "targetPort": "api"}]
    assert service["selector"] == selected(made)


@of("portal/poddisruptionbudget.yaml")
def test_one_goes_at_a_time(render):
    made = render(portal=ON)
    budget = made.one("PodDisruptionBudget", "cabgate-portal")["spec"]
    assert (budget["maxUnavailable"], budget["selector"]["matchLabels"]) == (1, selected(made))


@of("portal/networkpolicy.yaml")
def test_who_reaches_it_is_chosen(render):
    peer = {"ipBlock": {"cidr": "10.0.0.0/24"}}
    policy = render(portal=ON, networkPolicy={"portalFrom": [peer]}).one(
        "NetworkPolicy", "cabgate-portal"
    )["spec"]
    assert policy["ingress"][0] == {"ports": [{"port": "api"}], "from": [peer]}
    assert [each["port"] for each in policy["egress"][0]["ports"]] == [443, 6443, 53, 53]


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ({"pageUrl": ""}, "pageUrl"),
        ({"clientId": ""}, "clientId"),
        ({"secret": ""}, "secret"),
        ({"issuer": "http://dex.example.com"}, "issuer"),
        ({"pageUrl": "https://cabgate.example.com/page"}, "pageUrl"),
        ({"scopes": "profile"}, "scopes"),
    ],
)
def test_a_login_is_whole(render, given, where):
    with pytest.raises(DevClusterError, match=where):
        render(portal={**ON, "oidc": {**OIDC, **given}})


@of("portal/deployment.yaml")
@of("portal/networkpolicy.yaml")
def test_the_page_is_served_where_there_is_an_issuer(render):
    without = " ".join(render(portal=ON).container("portal")["args"])
    assert "oidc" not in without
    peer = {"ipBlock": {"cidr": "10.0.0.0/24"}}
    made = render(portal={**ON, "oidc": {**OIDC, "caConfigMap": "issuer-ca"}},
                  networkPolicy={"oidcPorts": [5556], "oidcTo": [peer]})  # fmt: skip
    container = made.container("portal")
    for each in ("--oidc-issuer=https://dex.example.com/dex", "--oidc-client-id=cabgate",
                 "--page-url=https://cabgate.example.com", "--oidc-scopes=openid profile email",
                 "--cookie-key-file=/etc/cabgate/oidc/cookie-keys",
                 "--oidc-client-secret-file=/etc/cabgate/oidc/client-secret",
                 "--oidc-ca=/etc/cabgate/oidc-ca/ca.crt"):  # fmt: skip
        assert each in container["args"]
    spec = made.one("Deployment", "cabgate-portal")["spec"]["template"]["spec"]
    volumes = {each["name"]: each for each in spec["volumes"]}
    assert volumes["oidc"]["secret"]["secretName"] == "cabgate-oidc"
    assert volumes["oidc-ca"]["configMap"]["name"] == "issuer-ca"
    assert spec["automountServiceAccountToken"] is False
    egress = made.one("NetworkPolicy", "cabgate-portal")["spec"]["egress"]
    assert egress[1] == {"ports": [{"port": 5556, "protocol": "TCP"}], "to": [peer]}
    public = render(portal={**ON, "oidc": {**OIDC, "publicClient": True}}).container("portal")
    assert "client-secret" not in " ".join(public["args"])
