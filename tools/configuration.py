# SPDX-License-Identifier: Apache-2.0
"""Write docs/configuration.md: the settings of each process, as its model has them."""

import sys
from pathlib import Path

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from cabgate_kube.process.settings import option_of
from cabgate_operator.settings import Settings
from cabgate_portal.settings import PortalSettings
from cabgate_relay.settings import Settings as RelaySettings
from cabgate_webhook.settings import WebhookSettings

PAGE = """\
# Configuration

Installed by Helm, cabgate is configured by [the chart's values](../charts/cabgate/README.md). This
page is about the two commands that the chart runs.

Written by `make manifests` from the settings models. Every setting is an option of the command and
an environment variable; an option wins. They are read once, at the start. A variable that begins
with `CABGATE_` and names no setting, an unknown option, and an invalid value are errors: the
process exits at the start, with exit code 2 and a message that names each.

Kubernetes puts variables like `CABGATE_WEBHOOK_PORT=tcp://...` into Pods, one set for each Service
of the namespace. Those are passed over, but a Service called `cabgate` would set `CABGATE_PORT`:
run the Pods with `enableServiceLinks: false`.

## How the installation is set

ConfigMap `cabgate-installation` in `cabgate-system` says what the chart was told. Whoever is
signed in may read it, and `cabgate explain`, `uncovered` and `adopt` do, so that nobody tells them
again; `--default-ring`, `--mode` and `--gated-kind` count instead where they are given. Where they
cannot read it they say so, and go by the chart's defaults.

| key | what it is |
|---|---|
| `defaultRing` | ring of a namespace without the ring label |
| `mode` | the cluster's mode |
| `excludedNamespaces` | namespaces in which nothing is gated, one a line |
| `gatedKinds` | kinds that are gated beside those that always are, `GROUP/KIND=PATHS`, one a line |
| `builtInKinds` | kinds that always are, one a line |
| `appVersion`, `chartVersion` | the release |

It is information: the webhook and the operator obey their options below. The operator says if it
was changed ([`cabgate_installation_differs`](operations/metrics.md)), and
[decision 44](decisions/0044-how-an-installation-is-set.md) what somebody gains who changes it.

## The processes

The API server is found through the Pod's service account, or the file in `KUBECONFIG`. Token and CA
are read again when their files change, those that a kubeconfig names as well. A kubeconfig is read
by the official Python client, so plugins work; `insecure-skip-tls-verify` is refused.

## cabgate-webhook

[`WebhookSettings`](../webhook/cabgate_webhook/settings.py).

{webhook}

What is fixed, and why: an admission request has 4 s to be judged, since the webhook configuration
gives it 5; a body may take 7 MiB and 5 s, all bodies that are being read 64 MiB together; the head
of a request and a TLS handshake may take 5 s. An idle connection is kept for 120 s, longer than the
API server keeps it. A connection to the health port has one answer and 10 s, and a hundred are open
at a time, of the operator too. A read that the API server answers with 429 is tried again when it
says, up to 3 s after the first time. [Certificates](operations/certificates.md) says how often
their files are looked at.

## cabgate-operator

[`Settings`](../operator/cabgate_operator/settings.py).

{operator}

What is fixed: the times of the [election and of the health pages](operations/replicas.md).

## cabgate-relay

[`Settings`](../relay/cabgate_relay/settings.py). The chart sets them by its values `relay`; see
[the event store](operations/event-store.md).

{relay}

## cabgate-portal

[`PortalSettings`](../portal/cabgate_portal/settings.py). See [the REST API](api.md).

{portal}

What is fixed: a body has at most 256 KiB and 10 s, all bodies that are being read 32 MiB together;
a token may have 32 KiB, and 20 calls at a time; a call waits for 60 s at most. One call to the API
server may take 20 s.
"""


def rendered() -> str:
    """The page."""
    return PAGE.format(
        webhook=_table(WebhookSettings),
        operator=_table(Settings),
        relay=_table(RelaySettings),
        portal=_table(PortalSettings),
    )


def _table(model: type[BaseSettings]) -> str:
    prefix = model.model_config.get("env_prefix", "")
    lines = ["| option | variable | default | what it is |", "|---|---|---|---|"]
    lines += [
        f"| `{option_of(key)}` | `{prefix}{key.upper()}` | {_default(field)} | {_text(field)} |"
        for key, field in model.model_fields.items()
    ]
    return "\n".join(lines)


def _text(field: FieldInfo) -> str:
    return (field.description or "").replace("|", "\\|")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default()
    if isinstance(value, tuple) and value:
        value = " ".join(value)
    return "none" if value in (None, ()) else f"`{value}`"


def main() -> int:
    """Write the page; tell if it changed."""
    path = Path(__file__).resolve().parents[1] / "docs" / "configuration.md"
    if not path.exists() or path.read_text() != rendered():
        path.write_text(rendered())
        print("wrote docs/configuration.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
