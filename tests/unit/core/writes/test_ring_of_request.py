# SPDX-License-Identifier: Apache-2.0
"""The ring that a new request names is that of its namespace, whoever wrote another one."""

import pytest

from cabgate.risk.builtin_model import DEFAULT_RISK_MODEL
from cabgate.text.refusal import Refusal, RefusalReason
from cabgate_samples.models import intent
from support.policies import BOARD
from unit.core.standings import check_created, request_for


@pytest.mark.parametrize("policy", [None, BOARD], ids=["no policy", "a policy"])
def test_the_operator_names_the_ring_that_the_namespace_has_now(policy):
    declared = intent()
    for said, refused in ((2, False), (3, False), (0, True), (4, True)):
        live = said if not refused else 3
        made = request_for(declared, said, policy=policy)
        if not refused:
            check_created(made, declared, [], DEFAULT_RISK_MODEL, policy=policy, ring=live)
            continue
        with pytest.raises(Refusal) as found:
            check_created(made, declared, [], DEFAULT_RISK_MODEL, policy=policy, ring=live)
        assert (found.value.reason, found.value.field) == (RefusalReason.WRONG_CONTENT, "spec.ring")
