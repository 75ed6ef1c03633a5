# SPDX-License-Identifier: Apache-2.0
"""What counts of a container in the normal form of a pod template, in one spelling."""

import hashlib
import json
from collections.abc import Callable, Collection, Mapping
from typing import Any

from cabgate.rollout.pods import PodTemplateError, items, mapping

_OF_TEXTS = ("matchLabels", "volumeAttributes", "options")
"""Fields that hold texts by names that anybody chooses, of which an empty one means something: to
a selector, or to the driver of a volume."""

TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105 - a path
"""Where the API server mounts the token of a Pod's service account."""


def cleaned(value: Any, *, false_is_absent: bool = False) -> Any:
    """A JSON value without what is empty, as the API server stores it, and without what it says of
    references by default. `{}` and `[]` within are empty."""
    if isinstance(value, Mapping):
        return _cleaned_mapping(value, false_is_absent=false_is_absent)
    if isinstance(value, list):
        found = [cleaned(each, false_is_absent=false_is_absent) for each in value]
        return [each for each in found if each not in (None, {}, [])]
    return value


def _cleaned_mapping(value: Mapping[str, Any], *, false_is_absent: bool) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, each in value.items():
        if key in _OF_TEXTS and isinstance(each, Mapping) and each:
            found[key] = dict(each)
            continue
        made = cleaned(each, false_is_absent=false_is_absent)
        if made is None or made in ("", [], {}):
            continue
        if made is False and (false_is_absent or key == "optional"):
            continue
        found[key] = made
    reference = found.get("fieldRef")
    if isinstance(reference, dict) and reference.get("apiVersion") == "v1":
        del reference["apiVersion"]
    # The unit of a figure, whose spelling the API server changes.
    if isinstance(found.get("resourceFieldRef"), dict):
        found["resourceFieldRef"].pop("divisor", None)
    return found


def container_form(
    container: Mapping[str, Any],
    path: str,
    *,
    starts_first: bool = False,
    ports: bool = True,
    without: Collection[str] = (),
) -> dict[str, Any]:
    """What counts of a container, with its name. `starts_first` is of init containers, where
    `restartPolicy` makes a sidecar; `without` are volumes whose mounts do not count. Without
    `ports` those of the node do not count: it has the network of the node.

    Raises `PodTemplateError`.
    """
    name = container.get("name")
    if not isinstance(name, str) or not name:
        raise PodTemplateError(f"{path}.name: no name")
    form: dict[str, Any] = {"name": name}
    for field, read in _FIELDS.items():
        value = read(container.get(field), f"{path}.{field}")
        if value not in (None, "", [], {}):
            form[field] = value
    if ports and (found := _host_ports(container.get("ports"), f"{path}.ports")):
        form["ports"] = found
    mounts = _mounts(container.get("volumeMounts"), f"{path}.volumeMounts", without)
    if mounts:
        form["volumeMounts"] = mounts
    if starts_first and container.get("restartPolicy"):
        form["restartPolicy"] = container["restartPolicy"]
    resources = mapping(container.get("resources") or {}, f"{path}.resources")
    if found := _devices_of_the_node(resources, f"{path}.resources"):
        form["devices"] = found
    claims = resources.get("claims")
    if claims:
        form["claims"] = _in_order(cleaned(items(claims, f"{path}.resources.claims")))
    return form


def _as_it_is(value: Any, path: str) -> Any:
    return cleaned(value)


def _words(value: Any, path: str) -> list[str]:
    """A command or its arguments: texts, of which an empty one is one too."""
    found = items(value, path)
    if not all(isinstance(each, str) for each in found):
        raise PodTemplateError(f"{path}: not a list of texts")
    return found


def _env(value: Any, path: str) -> list[Any]:
    """Variables, their values hashed.

    Their order counts where it can mean something: where a value may name another variable by
    `$(NAME)`, which sees those before it, or where two have one name, of which the last counts.
    """
    found: list[dict[str, Any]] = []
    expands = False
    for index, raw in enumerate(items(value, path)):
        each = mapping(raw, f"{path}[{index}]")
        said = each.get("value")
        if not isinstance(each.get("name"), str) or not isinstance(said, str | None):
            raise PodTemplateError(f"{path}[{index}]: not a variable with a name and a text")
        made = cleaned({key: part for key, part in each.items() if key not in ("name", "value")})
        made["name"] = each["name"]
        if said:
            expands = expands or "$(" in said
            made["value"] = hashlib.sha256(said.encode(errors="surrogatepass")).hexdigest()
        found.append(made)
    names = {each["name"] for each in found}
    if expands or len(names) != len(found):
        return found
    return sorted(found, key=lambda each: str(each["name"]))


def _env_from(value: Any, path: str) -> Any:
    """In its order: of two that give one variable the last counts."""
    return [cleaned(mapping(each, path)) for each in items(value, path)]


def _mounts(value: Any, path: str, without: Collection[str]) -> list[Any]:
    found = []
    for index, raw in enumerate(items(value, path)):
        mount = cleaned(mapping(raw, f"{path}[{index}]"), false_is_absent=True)
        token = mount.get("mountPath") == TOKEN_PATH and set(mount) == {
            *("name", "mountPath", "readOnly")
        }
        if mount.get("name") in without and token:
            continue
        for field, usual in (("mountPropagation", "None"), ("recursiveReadOnly", "Disabled")):
            if mount.get(field) == usual:
                del mount[field]
        found.append(mount)
    return _in_order(found)


def _devices(value: Any, path: str) -> list[Any]:
    return _in_order([cleaned(mapping(each, path)) for each in items(value, path)])


def _host_ports(value: Any, path: str) -> list[Any]:
    """The ports of the node that it takes; which ports it listens on without is not enforced by
    anything."""
    found = []
    for index, raw in enumerate(items(value, path)):
        port = mapping(raw, f"{path}[{index}]")
        if port.get("hostPort"):
            kept = ("hostIP", "hostPort", "containerPort", "protocol")
            made = cleaned({name: port.get(name) for name in kept})
            found.append({**made, "protocol": made.get("protocol", "TCP")})
    return _in_order(found)


def _security(value: Any, path: str) -> Any:
    raw = mapping(value or {}, path)
    context = cleaned(raw)
    if raw.get("seLinuxOptions") is not None:
        context.setdefault("seLinuxOptions", {})  # empty, it still takes the place of the Pod's
    for field, usual in (
        ("privileged", False),
        ("readOnlyRootFilesystem", False),
        ("procMount", "Default"),
    ):
        if context.get(field) == usual:
            del context[field]
    capabilities = context.get("capabilities")
    if isinstance(capabilities, dict):
        context["capabilities"] = {
            key: _in_order(each) if isinstance(each, list) else each
            for key, each in capabilities.items()
        }
    return context


def _lifecycle(value: Any, path: str) -> Any:
    found = cleaned(mapping(value or {}, path))
    for hook in found.values():
        request = hook.get("httpGet") if isinstance(hook, dict) else None
        if isinstance(request, dict):
            for field, usual in (("path", "/"), ("scheme", "HTTP")):
                if request.get(field) == usual:
                    del request[field]
    return found


def _command_of_probe(value: Any, path: str) -> Any:
    """The command that a probe runs in the container; when and how often it does is left out, and
    so are those that only ask."""
    run = mapping(mapping(value or {}, path).get("exec") or {}, f"{path}.exec")
    command = _words(run.get("command"), f"{path}.exec.command")
    return {"command": command} if command else {}


def _devices_of_the_node(resources: Mapping[str, Any], path: str) -> list[str]:
    """The names of the resources that a driver of a node gives, such as a GPU or /dev/fuse. How
    many is left out, as of all resources, and so is what Kubernetes itself counts."""
    names = {
        str(name)
        for field in ("limits", "requests")
        for name in mapping(resources.get(field) or {}, f"{path}.{field}")
    }
    return sorted(name for name in names if "/" in name and "kubernetes.io/" not in name)


def _switch(value: Any, path: str) -> Any:
    return None if value is False else value


def _message_path(value: Any, path: str) -> Any:
    """Where the kubelet mounts an empty file, over whatever the image has there."""
    return None if value == "/dev/termination-log" else value


def _in_order(found: list[Any]) -> list[Any]:
    """A list whose order means nothing."""
    return sorted(found, key=lambda each: json.dumps(each, sort_keys=True))


_FIELDS: Mapping[str, Callable[[Any, str], Any]] = {
    "command": _words,
    "args": _words,
    "workingDir": _as_it_is,
    "env": _env,
    "envFrom": _env_from,
    "volumeDevices": _devices,
    "securityContext": _security,
    "lifecycle": _lifecycle,
    "livenessProbe": _command_of_probe,
    "readinessProbe": _command_of_probe,
    "startupProbe": _command_of_probe,
    "terminationMessagePath": _message_path,
    "stdin": _switch,
    "stdinOnce": _switch,
    "tty": _switch,
}
"""The fields of a container that count as they stand, each with how it is read."""
