# SPDX-License-Identifier: Apache-2.0
"""Which images a pod template runs."""

from collections.abc import Iterator, Mapping
from typing import Any


class PodTemplateError(ValueError):
    """A pod template that cannot be read; the message names the field path."""


def template_images(template: Any, path: str = "spec.template") -> tuple[str, ...]:
    """Every image that a pod template runs, sorted, each once: of containers, init containers
    (sidecars too), ephemeral containers and image volumes.

    Raises `PodTemplateError` for anything that is not a pod template.
    """
    images = {image for _, _, image in _images(template, path)}
    if not images:
        raise PodTemplateError(f"{_spec_path(path)}.containers: no image")
    return tuple(sorted(images))


def images_by_name(template: Any, path: str = "spec.template") -> dict[str, dict[str, str]]:
    """Which image each container and each image volume of a pod template has, by its name: a
    mapping for each list of the spec that they stand in. Raises `PodTemplateError`."""
    found: dict[str, dict[str, str]] = {}
    for field, name, image in _images(template, path):
        found.setdefault(field, {})[name] = image
    return found


def _images(template: Any, path: str) -> Iterator[tuple[str, str, str]]:
    """List of the spec, name and image of whatever in a pod template has an image."""
    spec_path = _spec_path(path)
    spec = mapping(mapping(template, path).get("spec"), spec_path)
    for field in ("containers", "initContainers", "ephemeralContainers"):
        for index, each in enumerate(items(spec.get(field), f"{spec_path}.{field}")):
            item_path = f"{spec_path}.{field}[{index}]"
            container = mapping(each, item_path)
            image = _image(container.get("image"), f"{item_path}.image")
            yield field, str(container.get("name")), image
    for index, each in enumerate(items(spec.get("volumes"), f"{spec_path}.volumes")):
        item_path = f"{spec_path}.volumes[{index}]"
        volume = mapping(each, item_path)
        if volume.get("image") is not None:
            reference = mapping(volume["image"], f"{item_path}.image").get("reference")
            image = _image(reference, f"{item_path}.image.reference")
            yield "volumes", str(volume.get("name")), image


def _spec_path(path: str) -> str:
    return f"{path}.spec" if path else "spec"


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
