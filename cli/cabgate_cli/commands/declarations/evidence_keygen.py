# SPDX-License-Identifier: Apache-2.0
"""`cabgate evidence keygen`: a key to sign evidence with, and the EvidenceSigner that trusts it."""

import os
from pathlib import Path

import click

from cabgate import API_VERSION
from cabgate.api.signer import KIND
from cabgate_cli.commands.declarations.evidence_sections import COLLECTED, sections_named
from cabgate_cli.commands.options import output_option
from cabgate_cli.errors import BadInput, Unavailable, note
from cabgate_cli.exit_codes import of_command
from cabgate_cli.input.names import object_name
from cabgate_cli.output.objects import as_yaml, write, write_machine


@click.command(
    epilog="""\b
Examples:
  cabgate evidence keygen shop-ci --key shop-ci.key --speaks-in shop > signer.yaml
  cabgate evidence keygen shop-ci --key ci.key --speaks-in shop --algorithm P-256
"""
    + of_command(cluster=False),
)
@click.argument("name")
@click.option("--key", "key_file", metavar="FILE", required=True, help="File for the private key.")
@click.option(
    "--speaks-in",
    "namespaces",
    metavar="NAME",
    multiple=True,
    required=True,
    help="Namespace where the key speaks. May be repeated.",
)
@click.option(
    "--section",
    "sections",
    metavar="PART",
    multiple=True,
    help="Part of the evidence that it speaks for; default: "
    f"{', '.join(COLLECTED)}. May be repeated.",
)
@click.option(
    "--max-age",
    default="24h",
    show_default=True,
    metavar="AGE",
    help="For how long what it signed may be used.",
)
@click.option(
    "--algorithm", type=click.Choice(["Ed25519", "P-256"]), default="Ed25519", show_default=True
)
@output_option
def keygen(
    name: str,
    key_file: str,
    namespaces: tuple[str, ...],
    sections: tuple[str, ...],
    max_age: str,
    algorithm: str,
    output: str,
) -> None:
    """Make a key to sign evidence with.

    The private key goes into a file that only you may read, for the secrets of the pipeline. The
    EvidenceSigner that trusts it is printed, for a cluster admin to look at and apply.
    """
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
        PublicFormat,
    )

    from cabgate.api.signer import EvidenceSigner
    from cabgate_cli.input.files.validation import checked

    object_name(name, "NAME")
    for namespace in namespaces:
        object_name(namespace, "--speaks-in", 63)
    key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
    if algorithm == "Ed25519":
        key = ed25519.Ed25519PrivateKey.generate()
    else:
        key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    term = {
        "key": "kubernetes.io/metadata.name",
        "operator": "In",
        "values": sorted(set(namespaces)),
    }
    signer = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": name},
        "spec": {
            "publicKeys": [{"key": public.decode()}],
            "speaksFor": [each.value for each in sections_named(sections)] or list(COLLECTED),
            "namespaceSelector": {"matchExpressions": [term]},
            "maxAge": max_age,
        },
    }
    checked(EvidenceSigner, signer)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    _write_private(key_file, private)
    if output == "text":
        write(as_yaml(signer))
    else:
        write_machine(signer, output)
    note(f"{key_file}: the private key; who has it speaks for this evidence")


def _write_private(path: str, pem: bytes) -> None:
    """Write a new file that only its owner may read. Raises `BadInput` where there is one."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise BadInput(f"--key: {path} is there already; allowed: a new file") from None
    except OSError as error:
        raise Unavailable(f"{path}: cannot be written: {error.strerror or error}") from None
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(pem)
    except OSError as error:
        Path(path).unlink(missing_ok=True)
        raise Unavailable(f"{path}: cannot be written: {error.strerror or error}") from None
