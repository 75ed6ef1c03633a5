# SPDX-License-Identifier: Apache-2.0
"""What is raised for a store that cannot be used."""


class StoreError(Exception):
    """A store cannot be used as it is; says what is wrong and what to do, and quotes neither a
    password nor the content of a record."""


class StoreAwayError(StoreError):
    """A store cannot be reached, or did not answer in time: to try again later may help."""
