# SPDX-License-Identifier: Apache-2.0
"""What a pipeline has at its end: reports of its tests and scans, and an intent without figures."""

import json

from cabgate_demo.files import GOOD, NAMESPACE, as_yaml
from cabgate_samples.objects import declared, naming, target

IMAGE = "registry.example.com/shop/payment@sha256:" + "5a1c" * 16


def junit(passed: int) -> str:
    """A report of tests that all passed."""
    cases = "".join(f'<testcase classname="payment" name="t{n}"/>\n' for n in range(passed))
    return f'<testsuite name="payment" tests="{passed}" failures="0">\n{cases}</testsuite>\n'


def cobertura(lines: int, covered: int) -> str:
    """A report of which lines of one file the tests ran."""
    hits = "".join(f'<line number="{n + 1}" hits="{int(n < covered)}"/>' for n in range(lines))
    inner = f'<class name="pay" filename="pay.py"><methods/><lines>{hits}</lines></class>'
    package = f"<package name='payment'><classes>{inner}</classes></package>"
    rate = covered / lines
    return f"<coverage line-rate='{rate}'><packages>{package}</packages></coverage>\n"


def trivy() -> str:
    """A scan of the image that found one weakness, of low severity."""
    found = {
        "VulnerabilityID": "CVE-2026-0001",
        "PkgName": "tar",
        "InstalledVersion": "1.34",
        "PkgIdentifier": {"PURL": "pkg:deb/debian/tar@1.34"},
        "Severity": "LOW",
    }
    package = {"Target": "payment", "Class": "os-pkgs", "Type": "debian"}
    report = {
        "SchemaVersion": 2,
        "CreatedAt": "2026-11-27T08:00:00Z",
        "ArtifactName": IMAGE,
        "ArtifactType": "container_image",
        "Metadata": {"RepoDigests": [IMAGE]},
        "Results": [{**package, "Vulnerabilities": [found]}],
    }
    return json.dumps(report, indent=1)


def intent_without_figures() -> str:
    """The intent as it stands beside the code: plans, and what people did."""
    written = ("artifacts", "manualTesting", "rollbackPlan", "deploymentPlan", "scope")
    evidence = naming({part: GOOD[part] for part in written}, [IMAGE])
    made = declared(NAMESPACE, "payment", [target([IMAGE], "payment")], evidence)
    text = as_yaml({**made, "spec": {"summary": "Pays in yen.", **made["spec"]}})
    return text.replace("checkout", "payment")
