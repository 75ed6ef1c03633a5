# SPDX-License-Identifier: Apache-2.0
"""Reports of test, scan and coverage tools become evidence: bytes in, facts out, no I/O, no clock.

Where a report can be read two ways, the worse reading counts, and is named. What cannot be read is
an error, and never nothing.
"""
