# SPDX-License-Identifier: Apache-2.0
"""Whether a workload would be admitted now."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import StringConstraints

from cabgate.views.plain import plain
from cabgate_portal.answers import CheckAnswer
from cabgate_portal.calls import AsCaller
from cabgate_portal.checking import check
from cabgate_portal.names import Namespace
from cabgate_portal.problems import Answer

router = APIRouter(tags=["checking"])

Image = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,512}$")]


@router.get("/check", operation_id="check", response_model=CheckAnswer)
async def check_workload(
    reader: AsCaller,
    namespace: Annotated[Namespace, Query()],
    workload: Annotated[
        str, Query(max_length=400, description="KIND/NAME, such as `deployment/checkout`.")
    ],
    image: Annotated[
        list[Image] | None,
        Query(
            max_length=64,
            description="Of these images, each given once; of those that it runs if there is none.",
        ),
    ] = None,
) -> Answer:
    """Whether a workload would be admitted now, and why not: as `cabgate explain`.

    As it runs, or with the images that are named. Where the answer hangs on something that the
    caller may not read `allowed` is null, and `notes` say what. Nothing is stored, and nothing is
    promised: the gate decides anew when it is rolled out.
    """
    return Answer(plain(await check(reader, namespace, workload, image or ())))
