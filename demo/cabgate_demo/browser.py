# SPDX-License-Identifier: Apache-2.0
"""The system's Chromium, driven by Playwright: no browser is downloaded."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
"""Where it is; None where it is not installed."""


@contextmanager
def launched() -> Iterator["Browser"]:
    """A browser, as long as there is `CHROMIUM`."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            # Whoever runs it may be root, in a container whose /dev/shm is small.
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"],
        )
        yield browser
        browser.close()
