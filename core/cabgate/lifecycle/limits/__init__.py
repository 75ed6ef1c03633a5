# SPDX-License-Identifier: Apache-2.0
"""How much there may be: decisions in an object, requests of a team, records, and for how long."""
