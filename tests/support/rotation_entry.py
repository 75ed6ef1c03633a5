# SPDX-License-Identifier: Apache-2.0
"""The operator with certificates of short life and an eager eye: for tests only."""

import json
import sys
from datetime import timedelta

from cabgate_kube.tls import issue as pki
from cabgate_kube.tls import rotate as rules
from cabgate_kube.tls.rotate import Times
from cabgate_operator.controllers import certificates
from cabgate_operator.main import main

if __name__ == "__main__":
    given = json.loads(sys.argv.pop(1))
    if "backdate" in given:
        # Readiness goes by the whole time of a certificate: beside an hour a minute is its end.
        rules.BACKDATE = pki.BACKDATE = timedelta(seconds=given.pop("backdate"))
    certificates.LOOK_AGAIN = certificates.LOOK_SOON = timedelta(seconds=1)
    certificates.TIMES = Times(**{key: timedelta(seconds=value) for key, value in given.items()})
    main()
