# SPDX-License-Identifier: Apache-2.0
"""Which environment variables are ours, and which are Kubernetes's."""

from hypothesis import given
from hypothesis import strategies as st

from cabgate_kube.process.settings import unknown_variables

KEYS = ("port", "health_port", "default_ring")
LINKS = {
    "CABGATE_WEBHOOK_SERVICE_HOST": "10.96.0.7",
    "CABGATE_WEBHOOK_SERVICE_PORT": "443",
    "CABGATE_WEBHOOK_SERVICE_PORT_HTTPS": "443",
    "CABGATE_WEBHOOK_PORT": "tcp://10.96.0.7:443",
    "CABGATE_WEBHOOK_PORT_443_TCP": "tcp://10.96.0.7:443",
    "CABGATE_WEBHOOK_PORT_443_TCP_PROTO": "tcp",
    "CABGATE_WEBHOOK_PORT_443_TCP_PORT": "443",
    "CABGATE_WEBHOOK_PORT_443_TCP_ADDR": "10.96.0.7",
    "CABGATE_SERVICE_HOST": "10.96.0.8",
}


def test_what_kubernetes_sets_for_a_service_of_ours_is_passed_over():
    assert unknown_variables(LINKS, KEYS) == []


def test_a_misspelt_setting_is_found_even_where_it_looks_like_a_service():
    for name in ("CABGATE_HEALHT_PORT", "CABGATE_DEFAULT_RINGS", "CABGATE_", "cabgate_mode"):
        assert unknown_variables({name: "8080"}, KEYS) == [name]


def test_settings_and_what_is_not_ours_are_left_alone():
    known = {f"CABGATE_{key.upper()}": "x" for key in KEYS}
    assert unknown_variables({**known, "PATH": "/bin", "MY_CABGATE_X": ""}, KEYS) == []


@given(st.from_regex(r"CABGATE_[A-Z]{1,10}", fullmatch=True), st.text())
def test_a_variable_of_ours_is_a_setting_or_told(name, value):
    known = {f"CABGATE_{key.upper()}" for key in KEYS}
    assert bool(unknown_variables({name: value}, KEYS)) == (name not in known)
