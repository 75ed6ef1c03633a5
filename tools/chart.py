# SPDX-License-Identifier: Apache-2.0
"""Write what is made of the chart and for it: the kinds that are gated everywhere, the labels that
are never copied, its README with the table of values, and the manifests of three sets of values,
rendered by Helm."""

import re
import subprocess
import sys
from pathlib import Path

import yaml

from cabgate.api.kinds import BUILT_IN, GatedKind
from cabgate.lifecycle.requests.copied_labels import FREE_LABELS, RESERVED_DOMAINS
from cabgate_devcluster import locate_program
from cabgate_devcluster.installed.chart import (
    CHART,
    GOLDEN,
    KUBE_VERSION,
    NAMESPACE,
    without_schemas,
)

ROOT = Path(__file__).resolve().parents[1]

KINDS_FILE = CHART / "files" / "kinds.yaml"
LABELS_FILE = CHART / "files" / "labels.yaml"

README = """\
<!-- SPDX-License-Identifier: Apache-2.0 -->
<!-- Generated from values.yaml by `make manifests`. -->
# cabgate

{description}.

The chart installs all of it: CustomResourceDefinitions, operator and webhook, what the API server
asks them, and the policies that hold without them.

```sh
helm install cabgate charts/cabgate -n cabgate-system --create-namespace --wait
```

[Install](../../docs/operations/install.md) says what to set before, and
[upgrade](../../docs/operations/upgrade.md) what upgrade, rollback and uninstalling do. There is one
installation in a cluster, in the namespace `cabgate-system`: policies know the operator by it.

Kubernetes `{kube}`, tested on {tested} and on no other version. The floor is set by
MutatingAdmissionPolicy in `admissionregistration.k8s.io/v1`, which break-glass rests on, and the
proof without which the webhook signs nothing.

## Values

Other keys are refused, and so are values that make no sense.

| key | default | what it is |
|---|---|---|
{rows}
"""

_KEY = re.compile(r"^( *)([A-Za-z]+):(?: (.*))?$")


def rows(text: str) -> list[tuple[str, str, str]]:
    """Key, default and meaning of each value: the comment above it."""
    found: list[tuple[str, str, str]] = []
    path: list[tuple[int, str]] = []
    comment: list[str] = []
    open_row = -1
    for line in text.split("\n\n", 1)[1].splitlines():
        stripped = line.strip()
        if stripped.startswith("#"):
            comment.append(stripped.removeprefix("#").strip())
            continue
        match = _KEY.match(line)
        if not match:
            continue
        indent, key, default = len(match[1]), match[2], match[3]
        if 0 <= open_row < indent:
            # Below a key that is told of as a whole.
            found[-1] = (found[-1][0], _joined(found[-1][1], f"{key}: {default}"), found[-1][2])
            continue
        open_row = -1
        path = [each for each in path if each[0] < indent]
        name = ".".join([*(each for _, each in path), key])
        if default is None and not comment:
            path.append((indent, key))
            continue
        if default is None:
            open_row = indent
        found.append((name, default or "", " ".join(comment)))
        comment = []
    return found


def _joined(old: str, new: str) -> str:
    return f"{old}, {new}" if old else new


def readme() -> str:
    """The README as the chart has it now."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    table = "\n".join(
        f"| `{key}` | `{default}` | {meaning.replace('|', '&#124;')} |"
        for key, default, meaning in rows((CHART / "values.yaml").read_text())
    )
    return README.format(
        description=chart["description"],
        kube=chart["kubeVersion"],
        tested=chart["annotations"]["cabgate.dev/tested-kubernetes"],
        rows=table,
    )


KINDS = """\
# SPDX-License-Identifier: Apache-2.0
# Generated from core/cabgate/api/kinds.py by `make manifests`: the kinds that are gated everywhere,
# one by one, and the same by group, as rules name them.
"""


def kinds() -> str:
    """The kinds that are gated everywhere, as templates range over them."""
    content = {
        "kinds": [_of_kind(kind) for kind in BUILT_IN],
        "groups": [_of_group(group) for group in dict.fromkeys(kind.group for kind in BUILT_IN)],
    }
    return KINDS + yaml.safe_dump(content, sort_keys=False, width=100)


def _of_kind(kind: GatedKind) -> dict[str, object]:
    (path,) = kind.templates  # as much as the CEL of the chart looks at
    if "[*]" in path:
        raise ValueError(f"{kind.kind}: {path}: the chart's CEL looks into no list")
    return {"group": kind.group, "kind": kind.kind, "resource": kind.resource, "path": path}


def _of_group(group: str) -> dict[str, object]:
    found = [kind for kind in BUILT_IN if kind.group == group]
    return {
        "group": group,
        "resources": [kind.resource for kind in found],
        "subresources": [f"{kind.resource}/{name}" for kind in found for name in kind.subresources],
        "breakable": [kind.resource for kind in found if kind.breakable],
    }


LABELS = """\
# SPDX-License-Identifier: Apache-2.0
# Generated from core/cabgate/lifecycle/requests/copied_labels.py by `make manifests`: domains
# whose labels no request repeats of its intent, and labels of them that one may.
"""


def labels() -> str:
    """What of the labels of intents is never copied, as templates compare it."""
    content = {"domains": list(RESERVED_DOMAINS), "free": list(FREE_LABELS)}
    return LABELS + yaml.safe_dump(content, sort_keys=False, width=100)


def golden(values: Path) -> str:
    """What Helm makes of a set of values, without the schemas of crds/."""
    command = [str(locate_program("helm")), "template", "cabgate", str(CHART)]
    command += ["--namespace", NAMESPACE, "--kube-version", KUBE_VERSION, "--values", str(values)]
    made = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return without_schemas(made)


def main() -> int:
    """Write the files; tell which changed."""
    # Before what is rendered of it.
    _write(KINDS_FILE, kinds())
    _write(LABELS_FILE, labels())
    _write(CHART / "README.md", readme())
    for values in sorted(GOLDEN.glob("*.values.yaml")):
        name = values.name.replace(".values.yaml", ".yaml")
        _write(values.with_name(name), golden(values))
    return 0


def _write(path: Path, content: str) -> None:
    if not path.exists() or path.read_text() != content:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        print(f"wrote {path.relative_to(ROOT)}")


if __name__ == "__main__":
    sys.exit(main())
