# SPDX-License-Identifier: Apache-2.0
"""Write docs/states.md: the state tables of `cabgate.lifecycle.state.states`, drawn."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cabgate.lifecycle.state.states import EXCEPTION_TRANSITIONS, REQUEST_TRANSITIONS

PAGE = """\
# States

Drawn from the tables in [`lifecycle/state/states.py`](../core/cabgate/lifecycle/state/states.py) by
`make manifests`. What is not drawn is refused, or, where it stands in an object all the same,
counts for nothing.

## CABRequest

A request is opened as `ExceptionRequired` if its gate says so, else as `Submitted`. Only gate
`AutoApprove` lets the system approve, and only while no floor has come to stand against it; a
person approves or rejects any that is `Submitted`. `Reopened` leads back to where the request was
opened; an approval of a person it takes back only if its author became one who may not decide at
that very moment. Nothing leaves `Rejected` or `Revoked`. `Submitted`, `UnderReview` and
`Superseded` are revoked only where the request was approved before, so that something may run by
it; what never was is rejected.

```mermaid
{request}
```

## CABException

`Expired` follows from time alone: creation plus `durationDays`. The entry of that name records it;
the state does not wait for the entry. Nothing leaves `Rejected`, `Revoked` or `Expired`.
`Reopened` takes an approval back whose author changed the intent at that very moment.

```mermaid
{exception}
```

## What holds beyond one object

- A deciding verdict is given once for each content: if another request for the same targets, images
  and evidence is decided, this one cannot be. Where two people decide it at the same moment under
  two intents' names, and one rejects it or revokes it as a whole, an approval of the same second
  or a later one counts for nothing; one of an earlier second stands.
- `Rejected` and `Revoked` hold for their content under any intent of the namespace, also when the
  intent is deleted and made anew.
- Each image counts by itself, for its workload by group, kind and name: what is beside it, and
  under which version of its API the workload is named, makes no other image of it.
- `Revoked` denies each image that it names, in whatever set and under every request and every
  exception that was approved before, until a person approves that image for that workload.
  `Approved` lifts it for every request; `ConditionallyApproved` lifts it for its own request,
  where its conditions hold, and an exception for its own, as long as it lasts. What the system
  approves by score lifts nothing. Times are of whole seconds: an approval of the same second
  counts as before.
- An approval admits its own request at once. For other requests it lifts what it lifts once the
  operator has noticed it (condition `Decided` of the request), a moment later: until then it may be
  that of somebody who submits at the same moment, and is taken back.
- A person's approval lifts what it names: `checked.lifts` of its entry has the requests whose
  rejection or revocation stood against its images when it was given, and `checked.refusals` how
  many there were. What was refused while the approval was under way, it does not lift. If
  something was refused or lifted between the two halves of a review, it is refused
  (`RefusalsChanged`). One approval names 64, those of last first; the reviewer is told of the
  rest, which stands. Entries of older releases name none, and lift what was refused before them.
- A `Revoked` request itself admits nothing any more, whichever of its images the revocation
  names. An image that it does not name stays approved by the other requests that approved it.
- `Rejected` takes no approval away. It keeps every later request with one of its images from
  approval by score (the floor `EarlierVerdict`), and so does `Revoked` for the images that it
  names, until a person gives `Approved` to that image. One that was opened before, and was not
  approved by then, is not approved by score either: a person decides, and its intent says why.
- An exception admits only what its score asks one for (gate `ExceptionRequired`), and nothing
  that is `Revoked`, under whatever intent's name. In the place of a CAB member it decides nothing:
  not what waits for them, not what they rejected.
- An approval by score ends (`AutoApproved` to `Superseded`) when its intent declares other evidence
  for the very images that the request names, and that evidence names them
  (`artifacts[].images`): they are judged by it now. To go back to those images with the reports of
  another release left in place, whatever the artifacts name, or to declare the reports before the
  images, ends nothing; nor
  does naming the images that the same evidence is about. If the intent
  declares the evidence of before again, the request is reopened, and approved again unless a [floor
  of every model](risk-model.md#floors-of-every-model) stands against it by then, or its risk model
  is not there any more as it was. Else a person decides. It can be revoked whether it came back
  or not. It never ends before the request for that evidence can be decided: where that one was
  superseded and waits to be reopened, what was approved before admits until then.
- The list of decisions has 256 places. The system opens and approves nothing any more where 32 are
  left, and nobody says anything that leaves no place to end, to take back and to revoke it; the
  same holds of the bytes, of which a request may have 768 KiB. An intent that went back and forth
  so often has to declare another value of its evidence, which opens another request.
- A request with an image that its intent no longer declares stays approved, since a rollback to
  that image rests on it. So where one image of several moves on, the request of before still admits
  the others as well. Another intent never ends it, whatever that names, nor does deleting its own.
- A person's approval stands, whatever evidence is declared later. Its reviewer is told by the Event
  `OtherEvidenceDeclared` on the request, and the intent says beside `Ready` that the approval is of
  other evidence.
- An approval does not say that a rollout is due: a [freeze](change-freezes.md) or the [ring
  before](promotion.md) may keep it back, in whatever state the request is.
- A request records when it was opened (`metadata.creationTimestamp`), taken (`status.takenAt`) and
  decided (`status.decidedAt`).
"""


def rendered() -> str:
    """The page."""
    return PAGE.format(
        request=_chart(("Submitted", "ExceptionRequired"), REQUEST_TRANSITIONS),
        exception=_chart(("Pending",), EXCEPTION_TRANSITIONS),
    )


def _chart(opening: tuple[str, ...], transitions: Mapping[tuple[Any, Any, Any], Any]) -> str:
    lines = ["stateDiagram-v2", *(f"    [*] --> {state}" for state in opening)]
    lines += [
        f"    {state.value} --> {target}: {verdict.value} ({author.value})"
        for (state, verdict, author), following in transitions.items()
        # None: the state in which the request was opened.
        for target in (opening if following is None else (following.value,))
    ]
    return "\n".join(lines)


def main() -> int:
    """Write the page; tell if it changed."""
    path = Path(__file__).resolve().parents[1] / "docs" / "states.md"
    if not path.exists() or path.read_text() != rendered():
        path.write_text(rendered())
        print("wrote docs/states.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
