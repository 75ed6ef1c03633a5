# SPDX-License-Identifier: Apache-2.0
"""Write docs/api/openapi.json: the operations of the REST API, as the portal has them."""

import json
from pathlib import Path

from cabgate_portal.app import create_api

PAGE = Path(__file__).resolve().parents[1] / "docs" / "api" / "openapi.json"


def main() -> None:
    """Write it."""
    PAGE.parent.mkdir(exist_ok=True)
    found = create_api().openapi()
    PAGE.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
