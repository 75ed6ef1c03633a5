# SPDX-License-Identifier: Apache-2.0
"""`cabgate score` says of a requester what the API server would."""

import pytest
import yaml

from unit.cli.support import EXAMPLES, run


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (" ", "is blank"),
        ("\u200b", "is blank"),
        ("ann\u200b", "has characters that nobody sees"),
        ("system:serviceaccount:shop:ci", "is a machine"),
    ],
)
def test_a_requester_who_is_no_person_is_told(name, words, tmp_path):
    intent = yaml.safe_load((EXAMPLES / "auto-approve" / "intent.yaml").read_text())
    path = tmp_path / "intent.yaml"
    for requester, code in ((name, 2), ("ann", 0)):
        intent["spec"]["requester"] = requester
        path.write_text(yaml.safe_dump(intent))
        result = run("score", "-f", path, code=code)
        if code:
            assert "spec.requester: " in result.stderr
            assert words in result.stderr
