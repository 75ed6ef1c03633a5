# SPDX-License-Identifier: Apache-2.0
"""One workload under two versions of its API: an approval covers the images of both, so a reviewer
is shown the changes of both."""

import pytest

from cabgate.views.compare import ImageChange, compare
from cabgate_samples.models import intent, request, target
from cabgate_samples.objects import MIDDLING
from unit.core.views.builders import whole

OLD = target("web", "web:1")
EVIL = target("web", "evil:1")
BETA = target("web", "web:1", apiVersion="apps/v1beta1")


@pytest.mark.parametrize("targets", [[EVIL, BETA], [BETA, EVIL]], ids=["first", "last"])
def test_no_image_hides_behind_another_version_of_its_workload(targets):
    before = request(of=intent(MIDDLING, [OLD]), name="old")
    now = request(of=intent(MIDDLING, targets), name="new")
    found = compare(whole(now)[0], whole(before)[0])
    assert not found.same
    assert found.images == (ImageChange("Deployment web", (), ("evil:1",), 1),)


def test_nor_does_one_that_is_gone():
    before = request(of=intent(MIDDLING, [EVIL, BETA]), name="old")
    now = request(of=intent(MIDDLING, [OLD]), name="new")
    found = compare(whole(now)[0], whole(before)[0])
    assert found.images == (ImageChange("Deployment web", ("evil:1",), (), 1),)
