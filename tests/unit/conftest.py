# SPDX-License-Identifier: Apache-2.0
"""How the property tests run."""

import os

from hypothesis import settings

# No deadline: how long an example takes says something about the machine, not about the code.
# CI tries the same examples every time, so that it fails for a change and not by chance.
settings.register_profile("cabgate", deadline=None, derandomize="CI" in os.environ)
settings.register_profile("quick", settings.get_profile("cabgate"), max_examples=15)
"""What `make unit` goes by: between two edits a few examples find what an edit broke, and `make
test` looks for the rare ones."""
settings.load_profile("cabgate")
