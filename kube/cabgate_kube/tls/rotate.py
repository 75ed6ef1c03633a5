# SPDX-License-Identifier: Apache-2.0
"""Rules of the certificates that admission is served with: when one is in doubt, and what to do
about them where cabgate makes them itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization

LONGEST_WARNING = timedelta(minutes=5)
"""How long before its certificate ends a replica stops to be ready, at the most."""

BACKDATE = timedelta(hours=1)
"""How far back a certificate of ours holds: a clock that is behind must not find it "not yet
valid"."""


@dataclass(frozen=True)
class Validity:
    """From when to when a certificate holds."""

    start: datetime
    end: datetime


def serving_doubt(validity: Validity, now: datetime) -> str | None:
    """Why a replica that serves such a certificate should be asked nothing; None if it should be.

    Only near its end, five minutes or a twentieth of its time, whichever is shorter: until then it
    serves as well as any, and a replica with a newer one may take over before clients refuse it.
    """
    if now < validity.start:
        return f"the certificate holds from {validity.start.isoformat()} on"
    warning = min(LONGEST_WARNING, (validity.end - validity.start) / 20)
    if now >= validity.end - warning:
        verb = "ended" if now >= validity.end else "ends"
        return f"the certificate {verb} at {validity.end.isoformat()} and no newer one is there"
    return None


@dataclass(frozen=True)
class Times:
    """How long certificates of ours hold, and how long old and new are trusted side by side."""

    authority: timedelta = timedelta(days=365)
    """Time of a CA."""
    leaf: timedelta = timedelta(days=90)
    """Time of a serving certificate; it never outlives its CA."""
    settle: timedelta = timedelta(minutes=2)
    """How long a CA stands in every caBundle before it signs what is served: each API server has
    to have seen it, and clocks may differ by a minute."""
    overlap: timedelta = timedelta(hours=1)
    """How long a caBundle keeps other CAs after a new serving certificate was made: each replica
    has to have taken it up."""


@dataclass(frozen=True)
class Certificate:
    """A certificate, as far as the rules look at it."""

    pem: str
    validity: Validity
    names: frozenset[str]
    """DNS names and IP addresses that it is for."""

    @property
    def made(self) -> datetime:
        """When it was made, if by us."""
        made = self.validity.start + BACKDATE
        return made if made < self.validity.end else self.validity.start

    @property
    def due(self) -> datetime:
        """When it is to be renewed: at two thirds of its time."""
        return self.made + (self.validity.end - self.made) * 2 / 3


@dataclass(frozen=True)
class Leaf:
    """A serving certificate that goes with its key, and the CA that signed it."""

    certificate: Certificate
    issuer: Certificate | None
    """None where it is not known, or not right."""


@dataclass(frozen=True)
class Bundle:
    """The caBundle of one webhook configuration."""

    name: str
    trusted: tuple[Certificate, ...] = ()
    written: datetime | None = None
    """When it was last written by us; None if its entries differ or nobody noted it."""


@dataclass(frozen=True)
class Present:
    """What there is now."""

    authority: Certificate | None
    """The CA that signs; None if there is none that goes with its key."""
    leaf: Leaf | None
    """None if there is none that goes with its key."""
    bundles: Sequence[Bundle] = ()
    """One for each webhook configuration that exists."""


class Act(Enum):
    """What can be done."""

    MAKE_AUTHORITY = "make a CA"
    SIGN_LEAF = "sign a serving certificate"
    WRITE_BUNDLE = "write a caBundle"
    WAIT = "wait"


@dataclass(frozen=True)
class Step:
    """What to do now: one thing, after which the question is asked again."""

    act: Act
    why: str = ""
    bundle: str = ""
    """Name of the webhook configuration whose caBundle is written."""
    trusted: tuple[Certificate, ...] = ()
    """What is written there."""
    until: datetime | None = None
    """When there is something to do, if nothing changes meanwhile."""


def next_step(present: Present, names: frozenset[str], now: datetime, times: Times) -> Step:
    """What to do about certificates for these names.

    A new CA is first trusted beside the old one everywhere, and then signs; the old one leaves the
    caBundles once every replica has had time to take up what the new one signed. So at each moment
    whatever a replica may serve is trusted by every API server.
    """
    authority = present.authority
    if authority is None:
        return Step(Act.MAKE_AUTHORITY, "there is none that can sign")
    if now >= authority.due:
        return Step(Act.MAKE_AUTHORITY, f"the CA holds until {authority.validity.end}")
    for bundle in present.bundles:
        wanted = _wanted(bundle, present, now, times)
        if bundle.written is None or set(_pems(wanted)) != set(_pems(bundle.trusted)):
            return Step(Act.WRITE_BUNDLE, bundle=bundle.name, trusted=wanted)
    reason = _reason_to_sign(present.leaf, authority, names, now)
    if reason is None:
        return Step(Act.WAIT, until=_next_moment(present, authority, now, times))
    settled = _settled(present.bundles, now, times)
    if settled is None or _nothing_served(present, authority, now):
        return Step(Act.SIGN_LEAF, reason)
    return Step(Act.WAIT, reason, until=settled)


def _nothing_served(present: Present, authority: Certificate, now: datetime) -> bool:
    """Whether there is nothing left to go on with, so that waiting helps nobody."""
    if present.leaf is not None:
        return now >= present.leaf.certificate.validity.end
    # Where another CA is trusted, a replica may still serve what that one signed.
    return all(_pems(bundle.trusted) == [authority.pem] for bundle in present.bundles)


def _pems(certificates: Sequence[Certificate]) -> list[str]:
    return [each.pem for each in certificates]


def _wanted(
    bundle: Bundle, present: Present, now: datetime, times: Times
) -> tuple[Certificate, ...]:
    """What a caBundle is to hold: the CA, the one of what is served now, and for some time what
    stands there already, of which something may still be served."""
    leaf, found = present.leaf, [present.authority]
    if leaf is not None:
        found.append(leaf.issuer)
    if leaf is None or leaf.issuer is None or now < leaf.certificate.made + times.overlap:
        found += bundle.trusted
    unique = {each.pem: each for each in found if each is not None and now < each.validity.end}
    return tuple(unique.values())


def _reason_to_sign(
    leaf: Leaf | None, authority: Certificate, names: frozenset[str], now: datetime
) -> str | None:
    if leaf is None:
        return "there is none that goes with its key"
    if leaf.certificate.names != names:
        return f"it is for {', '.join(sorted(leaf.certificate.names)) or 'no name'}"
    if leaf.issuer is None or leaf.issuer.pem != authority.pem:
        return "another CA signed the one that there is"
    if now >= leaf.certificate.due:
        return f"the one that there is holds until {leaf.certificate.validity.end}"
    return None


def _settled(bundles: Sequence[Bundle], now: datetime, times: Times) -> datetime | None:
    """When every API server may be taken to trust what the caBundles say; None if that is now."""
    moments = [bundle.written + times.settle for bundle in bundles if bundle.written is not None]
    later = [moment for moment in moments if moment > now]
    return max(later) if later else None


def _next_moment(present: Present, authority: Certificate, now: datetime, times: Times) -> datetime:
    moments = [authority.due]
    if present.leaf is not None:
        leaf = present.leaf.certificate
        moments.append(leaf.due)
        if now < leaf.made + times.overlap:
            moments.append(leaf.made + times.overlap)
    return min(moments)


# Reading


def read_certificate(pem: str) -> Certificate | None:
    """The first certificate of a PEM text, or None if it holds none."""
    found = read_certificates(pem)
    return found[0] if found else None


def read_certificates(pem: str) -> tuple[Certificate, ...]:
    """The certificates of a PEM text; none if it is no such text."""
    try:
        found = x509.load_pem_x509_certificates(pem.encode())
        return tuple(_certificate(each) for each in found)
    except ValueError:
        return ()


def _certificate(found: x509.Certificate) -> Certificate:
    pem = found.public_bytes(serialization.Encoding.PEM).decode()
    validity = Validity(found.not_valid_before_utc, found.not_valid_after_utc)
    try:
        extension = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return Certificate(pem, validity, frozenset())
    names = extension.get_values_for_type(x509.DNSName)
    addresses = extension.get_values_for_type(x509.IPAddress)
    return Certificate(pem, validity, frozenset({*names, *map(str, addresses)}))


def read_authority(pem: str, key: str, now: datetime) -> Certificate | None:
    """The CA that a certificate and a key make; None if they make none, or its time is over."""
    found = read_certificate(pem)
    if found is None or not belong_together(pem, key) or now >= found.validity.end:
        return None
    return found


def read_leaf(pem: str, key: str, issuer: str) -> Leaf | None:
    """The serving certificate that a certificate and a key make, or None if they make none."""
    found = read_certificate(pem)
    if found is None or not belong_together(pem, key):
        return None
    signer = read_certificate(issuer)
    signed = signer is not None and _signed(pem, signer.pem)
    return Leaf(found, signer if signed else None)


def belong_together(pem: str, key: str) -> bool:
    """Whether a certificate is for a private key."""
    try:
        certificate = x509.load_pem_x509_certificate(pem.encode())
        private = serialization.load_pem_private_key(key.encode(), None)
        return certificate.public_key() == private.public_key()
    except (ValueError, TypeError):
        return False


def _signed(pem: str, issuer: str) -> bool:
    try:
        leaf = x509.load_pem_x509_certificate(pem.encode())
        leaf.verify_directly_issued_by(x509.load_pem_x509_certificate(issuer.encode()))
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
