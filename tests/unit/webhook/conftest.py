# SPDX-License-Identifier: Apache-2.0
"""What a test sets up for the whole process goes with it."""

import logging

import pytest


@pytest.fixture(autouse=True)
def usual_logging():
    """Logging as it was: the command of the webhook sets it up for a process of its own."""
    root, uvicorn = logging.getLogger(), logging.getLogger("uvicorn")
    handlers, level, of_uvicorn = root.handlers[:], root.level, uvicorn.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    uvicorn.setLevel(of_uvicorn)
