# SPDX-License-Identifier: Apache-2.0
"""What `kubectl cab queue` takes of its own, told by what does not depend on the machine: what it
imports, what of it before kubectl is on its way, and how often kubectl is started."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cabgate_samples.models import by_person, exception, request

KUBECTL = f"""\
#!{sys.executable}
import sys
words = sys.argv[1:]
with open({{calls!r}}, "a") as calls:
    calls.write(" ".join(words[:3]).partition("?")[0] + "\\n")
for plural in ("cabrequests", "cabexceptions"):
    if plural in words[2]:
        print(open({{folder!r}} + "/" + plural).read())
if "whoami" in words:
    print('{{{{"status": {{{{"userInfo": {{{{"username": "rita"}}}}}}}}}}}}')
"""
LOOK = """
import json, sys
from cabgate_cli.start import plugin
from cabgate_cli.input.kubectl.waiting import Reading
begun, before = Reading.__init__, []
def begin(self, *args, **given):
    before.extend(sys.modules)
    begun(self, *args, **given)
Reading.__init__ = begin
sys.argv = ["kubectl-cab", "queue", "-A"]
try:
    plugin()
finally:
    print(json.dumps([before, sorted(sys.modules)]), file=sys.stderr)
"""


@pytest.fixture
def looked(tmp_path: Path) -> tuple[str, set[str], set[str], list[str]]:
    """What the queue prints, the modules that were there before kubectl was started first and at
    the end, and the calls to kubectl."""
    asked = request("ExceptionRequired", name="asked")
    leave = exception(asked)
    # It waits no more than so many days, by the clock.
    meta = leave.metadata.model_copy(update={"creation_timestamp": datetime.now(UTC)})
    leave = leave.model_copy(update={"metadata": meta})
    waiting = [request(name="one"), request("ManualReview", by_person("UnderReview"), name="two")]
    for plural, objects in (
        ("cabrequests", [asked, *waiting]),
        ("cabexceptions", [leave]),
    ):
        items = [each.model_dump(mode="json", by_alias=True, exclude_none=True) for each in objects]
        (tmp_path / plural).write_text(json.dumps({"items": items}))
    kubectl = tmp_path / "bin" / "kubectl"
    kubectl.parent.mkdir()
    kubectl.write_text(KUBECTL.format(calls=str(tmp_path / "calls"), folder=str(tmp_path)))
    kubectl.chmod(0o755)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("COV")},
        "PATH": f"{kubectl.parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "KUBECONFIG": "",
    }
    done = subprocess.run(
        [sys.executable, "-c", LOOK], check=True, capture_output=True, text=True, env=environment
    )
    before, after = map(set, json.loads(done.stderr.splitlines()[-1]))
    return done.stdout, before, after, sorted((tmp_path / "calls").read_text().splitlines())


def test_a_list_of_what_waits_needs_no_model_and_three_calls(
    looked: tuple[str, set[str], set[str], list[str]],
) -> None:
    printed, before, after, calls = looked
    assert [line.split()[1] for line in printed.splitlines()[1:]] == ["one", "two", "cabex/leave"]
    models = {"pydantic", "cabgate.api.request", "cabgate.api.base", "cabgate.api.types"}
    clients = {"kubernetes", "urllib3", "ssl", "http.client", "asyncio", "yaml", "cryptography"}
    assert after & (models | clients) == set()
    # What judges is imported while kubectl waits for the API server.
    assert "cabgate.views.queue" in after
    assert (
        before & {"cabgate.views.queue", "cabgate.lifecycle", "cabgate.review", "msgspec"} == set()
    )
    assert calls == [
        "auth whoami -o",
        "get --raw /apis/cabgate.dev/v1alpha1/cabexceptions",
        "get --raw /apis/cabgate.dev/v1alpha1/cabrequests",
    ]
