# SPDX-License-Identifier: Apache-2.0
"""What the page shows of the exceptions that came before one."""

import re

from support.renewed import LINES, chain
from unit.portal.page.opened import Opened, as_stored


async def test_the_chain_stands_beside_what_is_decided_the_oldest_first():
    _, waits, objects = chain()
    opened = await Opened().open()
    for each in objects:
        kind = type(each).__name__
        opened.api.put(f"{kind.lower()}s", as_stored(kind, each))
    page = (await opened.get(f"/exceptions/shop.{waits.metadata.name}")).text
    _, _, after = page.partition("<h3>It renews</h3>")
    assert re.findall("<li>(.*?)</li>", after.partition("</ul>")[0]) == LINES
