# SPDX-License-Identifier: Apache-2.0
"""Names of what an installation of cabgate consists of, in its namespace and in the cluster. The
chart has them as they are here: they are no settings."""

from cabgate.ledger import cursors
from cabgate.rollout.installation import SYSTEM_NAMESPACE

OPERATOR = f"system:serviceaccount:{SYSTEM_NAMESPACE}:cabgate-operator"
"""User name of the operator."""

LEASE = "cabgate-operator"
"""The Lease that says which replica of the operator leads."""

RELAY_LEASE = "cabgate-relay"
"""The Lease that says which replica of the relay leads."""

RELAY_CURSORS = cursors.CONFIG_MAP
"""The ConfigMap of up to where each sink of the relay has acknowledged each chain."""

AUTHORITY_SECRET = "cabgate-webhook-ca"  # noqa: S105 - a name
"""The Secret of the CA (`ca.crt`, `ca.key`); no Pod mounts it."""

LEAF_SECRET = "cabgate-webhook-tls"  # noqa: S105 - a name
"""The Secret that the webhook mounts: `tls.crt`, `tls.key`, and the `ca.crt` that signed it, as
cert-manager has them."""

SIGNING_SECRET = "cabgate-signing-key"  # noqa: S105 - a name
"""The Secret of the key that the webhook signs decisions with (`key.pem`)."""

PROOF_SECRET = "cabgate-admission-proof"  # noqa: S105 - a name
"""The Secret of what shows the webhook that the API server sent an admission request
(`token`)."""

SIGNING_KEYS = "cabgate-signing-keys"
"""The ConfigMap of the public keys that decisions are verified with."""

LEDGER_HEADS = "cabgate-ledger-heads"
"""The ConfigMap of where each chain of the ledger ends."""

LEDGER_CHECKPOINTS = "cabgate-ledger-checkpoints"
"""The ConfigMap of up to where each chain was pruned."""

WEBHOOK_CONFIGURATION = "cabgate"
"""Name of both webhook configurations."""

WEBHOOK_NAME = f"cabgate-webhook.{SYSTEM_NAMESPACE}.svc"
"""The name that the API server calls the webhook's Service by."""

NOTIFICATIONS_SENT = "cabgate-notifications"
"""The ConfigMap of what each channel was sent."""
