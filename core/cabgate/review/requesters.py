# SPDX-License-Identifier: Apache-2.0
"""Whether a person is known to have asked."""

from collections.abc import Collection, Iterable

from cabgate.api.stored import StoredSubmitter
from cabgate.review.identity import SERVICE_ACCOUNTS, Machines, has_hidden, is_blank, same_name


def requester_problem(
    name: str, submitters: Iterable[StoredSubmitter] = (), machines: Machines = SERVICE_ACCOUNTS
) -> str | None:
    """Why a name in `spec.requester` is not that of a person who asked; None if it may be.

    That it is a claim stays so. `submitters` tell of machines whose names do not.
    """
    if is_blank(name):
        return "is blank: it names the person who asked, with a letter or a digit"
    if has_hidden(name):
        return "has characters that nobody sees, or blanks around it: it would be no one's name"
    known = [s.username for s in submitters if machines.submitted(s)]
    if machines.include(name) or any(same_name(name, each) for each in known):
        return f"{name} is a machine: it names the person who asked"
    return None


def only_machines(
    submitters: Collection[StoredSubmitter],
    requesters: Collection[str],
    machines: Machines = SERVICE_ACCOUNTS,
) -> bool:
    """Whether no person is known to have submitted or asked."""
    asked = any(requester_problem(name, submitters, machines) is None for name in requesters)
    return not asked and all(machines.submitted(submitter) for submitter in submitters)
