# SPDX-License-Identifier: Apache-2.0
"""What to do about certificates: nothing that is served is ever trusted by nobody."""

import dataclasses
import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cabgate_devcluster.clients.pki import Authority, signing_keys
from cabgate_kube.tls.rotate import (
    BACKDATE,
    Act,
    Bundle,
    Certificate,
    Leaf,
    Present,
    Times,
    Validity,
    next_step,
    read_authority,
    read_certificate,
    read_certificates,
    read_leaf,
    serving_doubt,
)
from support.examples import examples

NOW = datetime(2030, 1, 1, tzinfo=UTC)
NAMES = frozenset({"cabgate-webhook.cabgate-system.svc"})
TIMES = Times()
DAY = timedelta(days=1)
_numbers = itertools.count(1)


def certificate(made=NOW, time=TIMES.authority, names=NAMES):
    return Certificate(f"pem {next(_numbers)}", Validity(made - BACKDATE, made + time), names)


def leaf(issuer, made=NOW, time=TIMES.leaf, names=NAMES):
    return Leaf(certificate(made, time, names), issuer)


def bundle(*trusted, written=NOW - DAY, name="Validating"):
    return Bundle(name, trusted, written)


def step(authority, served, *bundles, now=NOW, names=NAMES):
    return next_step(Present(authority, served, bundles), names, now, TIMES)


# One after the other


def test_at_first_a_ca_is_made_and_signs_at_once():
    assert step(None, None).act is Act.MAKE_AUTHORITY
    ca = certificate()
    assert step(ca, None).act is Act.SIGN_LEAF
    served = leaf(ca)
    wait = step(ca, served)
    assert (wait.act, wait.until) == (Act.WAIT, NOW + TIMES.overlap)
    wait = step(ca, served, bundle(ca), now=NOW + 2 * DAY)
    assert wait.until == NOW + TIMES.leaf * 2 / 3


def test_a_configuration_that_trusts_nobody_is_written_first():
    ca = certificate()
    found = step(ca, leaf(ca), bundle(ca), bundle(name="Mutating"))
    assert (found.act, found.bundle, found.trusted) == (Act.WRITE_BUNDLE, "Mutating", (ca,))


def test_a_bundle_that_nobody_noted_the_writing_of_is_written():
    ca = certificate()
    assert step(ca, leaf(ca), bundle(ca, written=None)).act is Act.WRITE_BUNDLE


def test_both_are_renewed_at_two_thirds_of_their_time_and_not_before():
    second = timedelta(seconds=1)
    ca = certificate()
    for made, time, act in (
        (NOW, TIMES.authority, Act.MAKE_AUTHORITY),
        (NOW + 100 * DAY, TIMES.leaf, Act.SIGN_LEAF),
    ):
        served = leaf(ca, made=NOW + 100 * DAY if act is Act.SIGN_LEAF else NOW + 200 * DAY)
        due = made + time * 2 / 3
        assert step(ca, served, bundle(ca), now=due - second).act is Act.WAIT
        assert step(ca, served, bundle(ca), now=due).act is act


def test_a_new_ca_is_trusted_beside_the_old_one_before_it_signs():
    old, new = certificate(made=NOW - 300 * DAY), certificate()
    served = leaf(old, made=NOW - 10 * DAY)
    found = step(new, served, bundle(old))
    assert (found.act, set(found.trusted)) == (Act.WRITE_BUNDLE, {old, new})
    both = bundle(old, new, written=NOW)
    waiting = step(new, served, both, now=NOW + timedelta(seconds=1))
    assert (waiting.act, waiting.until) == (Act.WAIT, NOW + TIMES.settle)
    assert step(new, served, both, now=NOW + TIMES.settle).act is Act.SIGN_LEAF


def test_one_configuration_that_is_behind_holds_the_signing_back():
    old, new = certificate(made=NOW - 300 * DAY), certificate()
    served = leaf(old, made=NOW - 10 * DAY)
    later = bundle(old, new, written=NOW + timedelta(minutes=1), name="Mutating")
    found = step(new, served, bundle(old, new), later, now=NOW + TIMES.settle)
    assert (found.act, found.until) == (Act.WAIT, later.written + TIMES.settle)


def test_the_old_ca_stays_until_every_replica_had_its_time():
    old, new = certificate(made=NOW - 300 * DAY), certificate(made=NOW - DAY)
    served = leaf(new)
    both = bundle(old, new)
    wait = step(new, served, both, now=NOW + timedelta(minutes=1))
    assert (wait.act, wait.until) == (Act.WAIT, NOW + TIMES.overlap)
    found = step(new, served, both, now=NOW + TIMES.overlap)
    assert (found.act, found.trusted) == (Act.WRITE_BUNDLE, (new,))


def test_a_certificate_of_unknown_origin_stays_trusted_until_it_is_replaced():
    """Somebody goes over from other certificates to ours, with the webhooks serving."""
    theirs, ca = certificate(made=NOW - 90 * DAY), certificate()
    served = Leaf(certificate(made=NOW - 50 * DAY), None)
    found = step(ca, served, bundle(theirs))
    assert set(found.trusted) == {theirs, ca}
    waiting = step(ca, served, bundle(theirs, ca, written=NOW))
    assert (waiting.act, waiting.until) == (Act.WAIT, NOW + TIMES.settle)


def test_what_is_lost_is_signed_again_at_once_by_a_ca_that_is_trusted_long_since():
    ca = certificate(made=NOW - DAY)
    assert step(ca, None, bundle(ca)).act is Act.SIGN_LEAF


def test_what_is_lost_together_with_its_ca_waits_where_a_replica_may_still_serve_it():
    old, new = certificate(made=NOW - 9 * DAY), certificate()
    found = step(new, None, bundle(old, new, written=NOW))
    assert (found.act, found.until) == (Act.WAIT, NOW + TIMES.settle)
    assert step(new, None, bundle(new, written=NOW)).act is Act.SIGN_LEAF


def test_other_names_are_signed_anew():
    ca = certificate(made=NOW - DAY)
    found = step(ca, leaf(ca), bundle(ca), names=frozenset({"127.0.0.1"}))
    assert found.act is Act.SIGN_LEAF


def test_what_has_ended_does_not_wait():
    old, new = certificate(made=NOW - 400 * DAY), certificate()
    served = leaf(old, made=NOW - 100 * DAY)
    assert step(new, served, bundle(new, written=NOW)).act is Act.SIGN_LEAF


# Over years


class World:
    """API servers that learn of a caBundle late, replicas that take up a certificate late, people
    who delete Secrets, and an operator that looks now and then."""

    def __init__(self, api_delay, replica_delay):
        self.now = NOW
        self.authority = self.leaf = None
        self.bundles = {"Validating": Bundle("Validating"), "Mutating": Bundle("Mutating")}
        self.bundle_history = {name: [] for name in self.bundles}
        self.leaf_history = []
        self.api_delay, self.replica_delay = api_delay, replica_delay
        self.steps = 0

    def look(self):
        for _ in range(12):
            present = Present(self.authority, self.leaf, list(self.bundles.values()))
            found = next_step(present, NAMES, self.now, TIMES)
            if found.act is Act.WAIT:
                return found.until
            self.steps += 1
            self.take(found)
        raise AssertionError("steps without an end")

    def take(self, found):
        if found.act is Act.MAKE_AUTHORITY:
            self.authority = certificate(self.now)
        elif found.act is Act.SIGN_LEAF:
            left = self.authority.validity.end - self.now
            self.leaf = leaf(self.authority, self.now, min(TIMES.leaf, left))
            self.leaf_history.append((self.now, self.leaf))
        else:
            new = Bundle(found.bundle, found.trusted, self.now)
            self.bundles[found.bundle] = new
            self.bundle_history[found.bundle].append((self.now, new))

    def possible(self, history, delay):
        """What may be in effect: what was there the delay ago, and all since."""
        before = [value for when, value in history if when <= self.now - delay][-1:]
        return before + [value for when, value in history if when > self.now - delay]

    def check(self):
        for served in self.possible(self.leaf_history, self.replica_delay):
            assert served.certificate.validity.end > self.now
            for history in self.bundle_history.values():
                for trusted in self.possible(history, self.api_delay):
                    assert served.issuer in trusted.trusted, "served and not trusted"
                    assert served.issuer.validity.end > self.now


@settings(deadline=None, max_examples=examples(60))
@given(
    api_delay=st.integers(0, 110).map(lambda n: timedelta(seconds=n)),
    replica_delay=st.integers(0, 55).map(lambda n: timedelta(minutes=n)),
    lags=st.lists(st.integers(0, 86400), min_size=1, max_size=8),
    losses=st.lists(st.sampled_from(["", "", "", "authority", "leaf"]), min_size=1, max_size=8),
)
def test_whatever_is_served_is_trusted_by_every_api_server_for_years(
    api_delay, replica_delay, lags, losses
):
    world = World(api_delay, replica_delay)
    world.look()
    world.now += TIMES.overlap * 2  # the installation: nobody is served before it is done
    for history in (world.leaf_history, *world.bundle_history.values()):
        del history[:-1]
    lag, loss, lost = itertools.cycle(lags), itertools.cycle(losses), ""
    for _ in range(60):
        until = world.look()
        world.check()
        moments = [timedelta(seconds=1), api_delay, timedelta(minutes=3)]
        for moment in moments:
            world.now += moment
            world.check()
        world.now = max(world.now, until) + timedelta(seconds=next(lag))
        world.check()
        # Not twice in a row: an operator that never finds a CA when it looks, for months, signs
        # nothing, and says so.
        lost = "" if lost else next(loss)
        if lost and world.bundles["Validating"].written < world.now - TIMES.overlap:
            setattr(world, lost, None)
    assert world.steps < 60 * 6


@given(st.integers(1, 400 * 86400), st.integers(0, 500 * 86400))
def test_doubt_comes_near_the_end_alone(seconds, later):
    validity = Validity(NOW, NOW + timedelta(seconds=seconds))
    now = NOW + timedelta(seconds=later)
    left = (validity.end - now).total_seconds()
    assert (serving_doubt(validity, now) is not None) == (left <= min(300, seconds / 20))
    assert serving_doubt(validity, NOW - timedelta(seconds=1)) is not None


# Reading


def test_a_pair_is_read_and_what_is_none_is_nothing():
    ca, other = Authority("one"), Authority("two")
    pem, key = ca.cert_pem.decode(), ca.pair.key_pem.decode()
    now = read_certificate(pem).validity.start + DAY
    assert read_authority(pem, key, now).pem == pem
    assert read_authority(pem, key, now + 30 * DAY) is None
    assert read_authority(pem, other.pair.key_pem.decode(), now) is None
    assert read_authority("", "", now) is None
    assert [each.pem for each in read_certificates(pem * 2)] == [pem, pem]
    served = ca.server("webhook")
    texts = served.cert_pem.decode(), served.key_pem.decode()
    found = read_leaf(*texts, pem)
    assert found.issuer.pem == pem
    assert found.certificate.names == {"127.0.0.1", "localhost"}
    assert read_leaf(*texts, other.cert_pem.decode()).issuer is None
    assert read_leaf(*texts, "").issuer is None
    assert read_leaf(texts[0], signing_keys().key_pem.decode(), pem) is None


@given(st.text())
@pytest.mark.parametrize("before", ["", "-----BEGIN CERTIFICATE-----\n"])
def test_whatever_stands_in_a_secret_is_read_or_nothing(before, text):
    assert read_certificates(before + text) == ()
    assert read_leaf(before + text, text, text) is None
    assert read_authority(before + text, text, NOW) is None


def test_what_was_made_in_less_than_the_backdate_is_due_at_two_thirds_of_its_own_time():
    made = certificate(time=timedelta(seconds=30))
    assert made.due == NOW + timedelta(seconds=20)
    foreign = dataclasses.replace(made, validity=Validity(NOW, NOW + timedelta(minutes=30)))
    assert foreign.due == NOW + timedelta(minutes=20)
