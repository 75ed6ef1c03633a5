# SPDX-License-Identifier: Apache-2.0
"""Which images a pod template runs."""

from collections.abc import Mapping
from typing import Any


class PodTemplateError(ValueError):
    """A pod template that cannot be read; the message names the field path."""


def template_images(template: Any, path: str = "spec.template") -> tuple[str, ...]:
    """Every image that a pod template runs, sorted, each once: of containers, init containers
    (sidecars too), ephemeral containers and image volumes.

    Raises `PodTemplateError` for anything that is not a pod template.
    """
    spec_path = f"{path}.spec" if path else "spec"
    spec = mapping(mapping(template, path).get("spec"), spec_path)
    images: set[str] = set()
    for field in ("containers", "initContainers", "ephemeralContainers"):
        for index, container in enumerate(items(spec.get(field), f"{spec_path}.{field}")):
            item_path = f"{spec_path}.{field}[{index}]"
            images.add(_image(mapping(container, item_path).get("image"), f"{item_path}.image"))
    for index, volume in enumerate(items(spec.get("volumes"), f"{spec_path}.volumes")):
        item_path = f"{spec_path}.volumes[{index}]"
        source = mapping(volume, item_path).get("image")
        if source is not None:
            reference = mapping(source, f"{item_path}.image").get("reference")
            images.add(_image(reference, f"{item_path}.image.reference"))
    if not images:
        raise PodTemplateError(f"{spec_path}.containers: no image")
    return tuple(sorted(images))


def mapping(value: Any, path: str) -> Mapping[str, Any]:
    """The value, if it is an object. Raises `PodTemplateError` with the path if it is not."""
    if not isinstance(value, Mapping):
        raise PodTemplateError(f"{path}: not an object")
    return value


def items(value: Any, path: str) -> list[Any]:
    """The items of a list, none where it is absent. Raises `PodTemplateError` with the path if it
    is no list."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise PodTemplateError(f"{path}: not a list")
    return value


def _image(value: Any, path: str) -> str:
    if not isinstance(value, str) or not value:
        raise PodTemplateError(f"{path}: no image")
    return value
