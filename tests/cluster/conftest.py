# SPDX-License-Identifier: Apache-2.0
"""One control plane with cabgate on it for the whole run; a namespace for each test."""

import itertools
import secrets

import pytest

from cabgate_devcluster import DevCluster, wait_until
from cabgate_samples.objects import MIDDLING
from support.durations import RECORDED, Stopwatch, in_order, recorded
from support.gate import install
from support.gitops_times import all_times
from support.namespaces import create_namespace
from support.portal import PEOPLE, UNLIMITED, Portal
from support.roles import ROLE_USERS

_numbers = itertools.count(1)

DevCluster.forking = True


def pytest_addoption(parser):
    group = parser.getgroup("cabgate")
    group.addoption("--shuffle-files", metavar="SEED", help="take the files in any order")
    group.addoption("--record-gitops", action="store_true", help="write docs/gitops/*-times.md")
    group.addoption("--record-durations", action="store_true", help="write durations.json")


def pytest_configure(config):
    if not hasattr(config, "workerinput"):  # the workers report to one process
        write_to = RECORDED if config.getoption("--record-durations") else None
        config.pluginmanager.register(Stopwatch(write_to))
        if config.getoption("--record-gitops"):
            for times in all_times():
                config.pluginmanager.register(times)


def pytest_collection_modifyitems(config, items):
    names = [item.path.name for item in items]
    sharing = {item.path.name for item in items if _shares_the_cluster(item)}
    order = in_order(names, recorded(), config.getoption("--shuffle-files"), sharing)
    items.sort(key=lambda item: order.index(item.path.name))  # stable: a file keeps its order


def _shares_the_cluster(item):
    """Whether a test needs the cluster of the run, and not one of its file's own."""
    found = item._fixtureinfo.name2fixturedefs.get("cluster", ())
    return bool(found) and found[-1].scope == "session"


@pytest.fixture(scope="session")
def token_of_tess():
    """The bearer token of a person: what an identity provider hands out elsewhere."""
    return secrets.token_hex(16)


@pytest.fixture(scope="session")
def people_tokens(token_of_tess):
    """The tokens of people by their names: an API server reads them when it starts."""
    names = [*PEOPLE, *(name for name in ROLE_USERS if not name.startswith("system:"))]
    return {name: secrets.token_hex(16) for name in names} | {"tess": token_of_tess}


@pytest.fixture(scope="session")
def cluster(tmp_path_factory, people_tokens):
    tokens = tmp_path_factory.mktemp("tokens") / "tokens.csv"
    groups = dict.fromkeys(people_tokens, "people") | ROLE_USERS
    lines = [f'{token},{name},{name},"{groups[name]}"' for name, token in people_tokens.items()]
    tokens.write_text("\n".join(lines) + "\n")
    with DevCluster(apiserver_args=[f"--token-auth-file={tokens}"]) as running:
        yield running


@pytest.fixture(scope="session")
def gate(cluster):
    return install(cluster)


@pytest.fixture(scope="session")
def portal(gate):
    """A portal beside the cluster of the run."""
    return Portal(gate.cluster, *UNLIMITED)


@pytest.fixture
def make_namespace(cluster):
    """Makes namespaces, which stay until the cluster ends: to delete one takes the API server a
    hundred calls, a quarter of what the suite cost."""

    def make(ring="2"):
        name = f"test-{next(_numbers)}"
        create_namespace(cluster, name, ring)
        # A Pod needs it, and a controller makes it a moment later.
        wait_until(
            lambda: cluster.api.get("serviceaccount", "default", name), "the namespace's account"
        )
        return name

    return make


@pytest.fixture
def namespace(make_namespace):
    """A namespace of ring 2."""
    return make_namespace()


@pytest.fixture
def submitted(gate, namespace):
    """Name of a request that waits for a person."""
    return gate.open(namespace, MIDDLING, "Submitted")
