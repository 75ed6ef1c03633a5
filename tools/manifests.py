# SPDX-License-Identifier: Apache-2.0
"""Write the generated CustomResourceDefinitions to crds/."""

import sys
from pathlib import Path

import yaml

from cabgate.api.crds import definitions

HEADER = """\
# SPDX-License-Identifier: Apache-2.0
# Generated from core/cabgate/api by `make manifests`.
"""


class _Plain(yaml.SafeDumper):
    """YAML without anchors: a schema that is used twice is written twice."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def rendered() -> dict[str, str]:
    """File name and content of each manifest."""
    return {
        f"{definition['metadata']['name']}.yaml": HEADER
        + yaml.dump(definition, Dumper=_Plain, sort_keys=False, width=100)
        for definition in definitions()
    }


def main() -> int:
    """Write the files; tell which changed."""
    folder = Path(__file__).resolve().parents[1] / "crds"
    for name, content in rendered().items():
        path = folder / name
        if not path.exists() or path.read_text() != content:
            path.write_text(content)
            print(f"wrote crds/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
