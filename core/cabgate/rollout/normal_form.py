# SPDX-License-Identifier: Apache-2.0
"""The normal form `t1` of a pod template: what its containers do, in one spelling. Decision 69.

A digest of the whole template would change with each release of Kubernetes that defaults a field,
and with each webhook that adds one. So this is a list of the fields that count; of these, absent is
what the API server makes of absent. The form never changes: another list of fields gets another
name. What a field holds is taken whole, with what this release does not know of it.
"""

from collections.abc import Callable, Mapping
from typing import Any

from cabgate.rollout.container_form import cleaned, container_form
from cabgate.rollout.pods import PodTemplateError, items, mapping
from cabgate.rollout.volume_form import claim_form, is_token_volume, volume_form

VERSION = "t1"
"""Name of the form: digests of two forms are never compared."""

Form = dict[str, Any]
"""The normal form of one pod template, plain JSON: `containers`, `volumes` and
`volumeClaimTemplates` by name, `initContainers` in their order, and of the other fields those that
are not as the API server defaults them."""

APPARMOR = "container.apparmor.security.beta.kubernetes.io/"
"""Prefix of the annotations that are a container's AppArmor profile where the field is absent."""


def normal_form(
    template: Any, path: str = "spec.template", *, of_pod: bool = False, claims: Any = None
) -> Form:
    """The normal form of a pod template, with the `volumeClaimTemplates` that stand beside it.

    With `of_pod` the template is a Pod, to which the API server adds a volume with a token of its
    service account: that is left out where it is as it adds it. Raises `PodTemplateError` with the
    path of what is no pod template.
    """
    template = mapping(template, path)
    at = f"{path}.spec" if path else "spec"
    spec = mapping(template.get("spec"), at)
    metadata = mapping(template.get("metadata") or {}, f"{path}.metadata".lstrip("."))
    annotations = mapping(metadata.get("annotations") or {}, "metadata.annotations")
    tokens = _tokens(spec, at) if of_pod else frozenset()
    on_host = spec.get("hostNetwork") is True
    form: Form = {}
    for field in ("containers", "initContainers", "ephemeralContainers"):
        found = [
            container_form(
                _with_profile(mapping(each, f"{at}.{field}[{index}]"), annotations),
                f"{at}.{field}[{index}]",
                starts_first=field == "initContainers",
                ports=not on_host,
                without=tokens,
            )
            for index, each in enumerate(items(spec.get(field), f"{at}.{field}"))
        ]
        if found:
            form[field] = _named(found, f"{at}.{field}")
    # In the order in which they run: which comes before which is a part of what they do.
    if "initContainers" in form:
        form["initContainers"] = [
            {"name": name, **each} for name, each in form["initContainers"].items()
        ]
    volumes = [
        volume_form(mapping(each, f"{at}.volumes[{index}]"), f"{at}.volumes[{index}]")
        for index, each in enumerate(items(spec.get("volumes"), f"{at}.volumes"))
    ]
    kept = [each for each in volumes if each["name"] not in tokens]
    if kept:
        form["volumes"] = _named(kept, f"{at}.volumes")
    beside = f"{path.rpartition('.')[0]}.volumeClaimTemplates".lstrip(".")
    claimed = [
        claim_form(mapping(each, f"{beside}[{index}]"), f"{beside}[{index}]")
        for index, each in enumerate(items(claims, beside))
    ]
    if claimed:
        form["volumeClaimTemplates"] = _named(claimed, beside)
    for field, read in _OF_POD.items():
        value = read(spec)
        if value not in (None, "", [], {}):
            form[field] = value
    return form


def _named(found: list[Form], path: str) -> Form:
    """Things by their names, in their order. Raises `PodTemplateError` where two have one."""
    named = {each["name"]: {k: v for k, v in each.items() if k != "name"} for each in found}
    if len(named) != len(found):
        raise PodTemplateError(f"{path}: two have one name")
    return named


def _tokens(spec: Mapping[str, Any], at: str) -> frozenset[str]:
    """Names of the volumes that the API server adds to a Pod for its service account."""
    if spec.get("automountServiceAccountToken") is False:
        return frozenset()
    volumes = items(spec.get("volumes"), f"{at}.volumes")
    found = [each for each in volumes if isinstance(each, Mapping) and is_token_volume(each)]
    # It adds one. A second one was put there by somebody else.
    return frozenset(str(each["name"]) for each in found[:1])


def _with_profile(
    container: Mapping[str, Any], annotations: Mapping[str, Any]
) -> Mapping[str, Any]:
    """A container with the AppArmor profile that an annotation gives it, where it says none."""
    said = annotations.get(f"{APPARMOR}{container.get('name')}")
    context = container.get("securityContext") or {}
    if said is None or not isinstance(context, Mapping) or context.get("appArmorProfile"):
        return container
    kind, slash, profile = str(said).partition("/")
    known = {"runtime/default": "RuntimeDefault", "unconfined": "Unconfined"}
    if said in known:
        made = {"type": known[str(said)]}
    elif (kind, slash) == ("localhost", "/"):
        made = {"type": "Localhost", "localhostProfile": profile}
    else:
        made = {"type": str(said)}
    return {**container, "securityContext": {**context, "appArmorProfile": made}}


def _flag(name: str, usual: bool = False) -> Callable[[Mapping[str, Any]], Any]:
    """A switch that is left out where it stands as usual."""
    return lambda spec: None if spec.get(name) in (None, usual) else spec[name]


def _text(name: str, usual: str = "") -> Callable[[Mapping[str, Any]], Any]:
    return lambda spec: None if spec.get(name) in (None, "", usual) else spec[name]


def _security(spec: Mapping[str, Any]) -> Any:
    context = cleaned(spec.get("securityContext") or {})
    if not isinstance(context, dict):
        return context
    if context.get("runAsNonRoot") is False:
        del context["runAsNonRoot"]
    for field, key in (("supplementalGroups", None), ("sysctls", "name")):
        context = _ordered(context, field, key)
    return context


def _ordered(value: dict[str, Any], field: str, key: str | None) -> dict[str, Any]:
    """A value with a list in it whose order means nothing."""
    found = value.get(field)
    if not isinstance(found, list):
        return value
    by = (lambda each: str(each.get(key))) if key else str
    if key and not all(isinstance(each, Mapping) for each in found):
        return value
    return {**value, field: sorted(found, key=by)}


def _aliases(spec: Mapping[str, Any]) -> Any:
    return cleaned(spec.get("hostAliases") or [])


def _account(spec: Mapping[str, Any]) -> Any:
    # The second is the old name of the first, which the API server keeps beside it.
    return spec.get("serviceAccountName") or spec.get("serviceAccount") or "default"


_OF_POD: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
    "securityContext": _security,
    "hostNetwork": _flag("hostNetwork"),
    "hostPID": _flag("hostPID"),
    "hostIPC": _flag("hostIPC"),
    "hostUsers": _flag("hostUsers", True),
    "hostAliases": _aliases,
    "shareProcessNamespace": _flag("shareProcessNamespace"),
    "serviceAccountName": _account,
    # Absent is what the service account says, which is neither.
    "automountServiceAccountToken": lambda spec: spec.get("automountServiceAccountToken"),
    "runtimeClassName": _text("runtimeClassName"),
    "dnsPolicy": _text("dnsPolicy", "ClusterFirst"),
    "dnsConfig": lambda spec: cleaned(spec.get("dnsConfig") or {}),
    "enableServiceLinks": _flag("enableServiceLinks", True),
    "hostname": _text("hostname"),
    "subdomain": _text("subdomain"),
    "setHostnameAsFQDN": _flag("setHostnameAsFQDN"),
    "hostnameOverride": _text("hostnameOverride"),
    "resourceClaims": lambda spec: cleaned(spec.get("resourceClaims") or []),
}
"""The fields of the spec of a Pod that count, beside containers and volumes."""
