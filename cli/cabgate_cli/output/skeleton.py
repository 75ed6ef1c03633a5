# SPDX-License-Identifier: Apache-2.0
"""An intent as YAML that explains itself: ready to apply, its evidence still to be filled in.

The optional fields are comments without values: what nobody fills in stays missing evidence,
which scores worst, and cannot be taken for a figure.
"""

import textwrap
from typing import Any

from cabgate_cli.output.objects import as_yaml

_HEADER = """\
# {title}
#
# It can be applied as it is, and then has the worst score: next to no evidence. So first complete
#   1. summary: what this release changes, for the reviewer;
#   2. evidence: take the '# ' from the lines that you can fill in, and give them your own values.
#      artifacts[].images names what it is about: take out what was not tested and scanned.
# Evidence is declared by you. cabgate records it, and does not verify it.
#
# See the score:  cabgate score -f FILE
# Apply it:       kubectl apply -f FILE
"""

_OPTIONAL = """\
  # What this release changes, in a sentence or two; 1 to 4096 characters.
  # summary:
  # Identifier that ties the rollout to records elsewhere, such as a ticket; 1 to 128 letters,
  # digits and . _ : / -, beginning with a letter or digit. Without one it is derived.
  # correlationID:
  # The release unit, the same in each namespace that it is rolled out to; 1 to 63 letters, digits
  # and . _ -. By it a ring asks what became of the images in the ring before.
  # release:
  # The person who asked, if another identity (a pipeline) applies this; may not approve it.
  # requester:
"""

_TARGETS = """\
  # The workloads that this release changes, 1 to 20, each with every image that it may run
  # (1 to 50). Images are compared exactly, character by character; prefer digests.
"""

_FORMS = """\
  # What the templates above stand for, so that reviewers see which command changes. It decides
  # nothing, and may be left out.
"""

_ARTIFACTS = """\
  evidence:
    # What was built, at most 100, each with a name of its own, and the images that this evidence is
    # about, as the targets name them. An image that stands in none of these waits for a person; and
    # so does a new one with the reports of the last release.
    artifacts:
"""

_ARTIFACT = """\
  #     uri:                      # where it can be had; 1 to 2048 characters
  #     sha256:                   # 64 hexadecimal digits
  #     origin:                   # ThirdParty if somebody else built the images, as of a chart
"""

_EVIDENCE = """\
  #   testResults:
  #     coveragePercent:          # 0 to 100; above 90 scores best, below 80 worst
  #     passed:                   # number of tests, 0 or more
  #     failed:                   # number of tests; more than 0 needs a review
  #     skipped:                  # number of tests
  #     uri:                      # where the report can be read
  #     sha256:                   # of the report
  #   scanResults:
  #     critical:                 # number of findings; more than 0 needs a review
  #     high:                     # number of findings; critical + high: 0 best, above 2 worst
  #     medium:                   # number of findings; not scored
  #     low:                      # number of findings; not scored
  #     scanner:                  # name and version; 1 to 256 characters
  #     uri:                      # where the report can be read
  #     sha256:                   # of the report
  #   manualTesting:
  #     status:                   # Completed (best), InProgress or NotStarted (worst)
  #     by:                       # who tested; 1 to 256 characters
  #     at:                       # when, such as "2026-01-31T12:00:00Z"
  #     uri:                      # where the record can be read
  #   rollbackPlan:
  #     validated:                # true if the plan was tried (best), else false
  #     uri:                      # where the plan can be read; without a plan scores worst
  #     sha256:                   # of the plan
  #   deploymentPlan:
  #     uri:                      # where the plan can be read
  #     sha256:                   # of the plan
  #   scope:
  #     affectedComponents:       # number; below 5 scores best, above 10 worst
"""


def intent_yaml(intent: dict[str, Any], workloads: list[str]) -> str:
    """An intent as commented YAML, from its plain form and how people call its workloads."""
    head = {key: intent[key] for key in ("apiVersion", "kind", "metadata")}
    targets = as_yaml({"targets": intent["spec"]["targets"]})
    namespace = intent["metadata"]["namespace"]
    title = f"DeploymentIntent for {', '.join(workloads)} in namespace {namespace}"
    lines = textwrap.wrap(title, 96, break_on_hyphens=False)
    return "".join(
        [
            _HEADER.format(title="\n# ".join(lines)),
            as_yaml(head),
            "spec:\n",
            _OPTIONAL,
            _TARGETS,
            textwrap.indent(targets, "  "),
            *_written_out(intent["spec"].get("templateForms")),
            _ARTIFACTS,
            *(
                textwrap.indent(as_yaml([artifact]), "    ") + _ARTIFACT
                for artifact in intent["spec"]["evidence"]["artifacts"]
            ),
            _EVIDENCE,
        ]
    )


def _written_out(forms: list[dict[str, Any]] | None) -> list[str]:
    if not forms:
        return []
    return [_FORMS, textwrap.indent(as_yaml({"templateForms": forms}), "  ")]
