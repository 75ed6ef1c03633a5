# SPDX-License-Identifier: Apache-2.0
"""What people do with the gate, through the real kubectl."""

import contextlib
import json
import shlex
import subprocess
from pathlib import Path

from cabgate_devcluster import DevCluster, Installation, people, wait_until
from support.objects import intent


class Refused(AssertionError):  # noqa: N818 - what kubectl says, not a fault of the test
    """A command that should have passed did not."""


class Gate:
    """cabgate on a cluster, and its users."""

    def __init__(self, cluster: DevCluster, installation: Installation) -> None:
        self.cluster = cluster
        self.installation = installation
        self._users: dict[str, Path] = {}

    def user(self, name, *groups):
        """Kubeconfig of a user; made at first use."""
        if name not in self._users:
            if name.startswith("system:serviceaccount:"):
                _, _, namespace, account = name.split(":")
                self._users[name] = self.cluster.service_account(namespace, account)
            else:
                self._users[name] = self.cluster.user(name, groups)
        return self._users[name]

    def bind(self, user, role, namespace):
        """Bind a user to a ClusterRole in a namespace."""
        kind = "--serviceaccount" if user.startswith("system:serviceaccount:") else "--user"
        subject = ":".join(user.split(":")[2:]) if kind == "--serviceaccount" else user
        name = f"{user.replace(':', '-')}-{role}"
        self.cluster.kubectl(
            *("create", "rolebinding", name, f"--clusterrole={role}", f"{kind}={subject}"),
            *("-n", namespace),
        )

    def kubectl(self, user, *args, stdin=None, check=True):
        """Run kubectl as a user; the result, its output in `stdout` and `stderr`."""
        result = self.cluster.kubectl(*args, kubeconfig=self.user(user), stdin=stdin, check=False)
        if check and result.returncode != 0:
            raise Refused(f"{user}: kubectl {' '.join(map(str, args))}: {result.stderr}")
        return result

    def apply(self, user, obj, *args, check=True):
        """`kubectl apply` of an object."""
        return self.kubectl(user, "apply", "-f", "-", *args, stdin=json.dumps(obj), check=check)

    def create(self, user, obj, *args, check=True):
        """`kubectl create` of an object."""
        return self.kubectl(user, "create", "-f", "-", *args, stdin=json.dumps(obj), check=check)

    def refused(self, user, *args, stdin=None):
        """The message of a command that must fail."""
        result = self.kubectl(user, *args, stdin=stdin, check=False)
        assert result.returncode != 0, f"{user}: passed, but should not: {args}"
        return result.stderr

    def get(self, resource, name, namespace):
        """An object as the API server has it."""
        result = self.cluster.kubectl("get", resource, name, "-n", namespace, "-o", "json")
        return json.loads(result.stdout)

    def items(self, resource, namespace, *args):
        """The objects of a namespace."""
        result = self.cluster.kubectl("get", resource, "-n", namespace, "-o", "json", *args)
        return json.loads(result.stdout)["items"]

    def patch(self, user, resource, name, namespace, body, *args, kind="merge", check=True):
        """`kubectl patch`, of the kind given."""
        return self.kubectl(
            user,
            *("patch", resource, name, "-n", namespace),
            *(f"--type={kind}", "-p", json.dumps(body), *args),
            check=check,
        )

    def patch_status(self, user, resource, name, namespace, body, *args, **options):
        """`kubectl patch --subresource=status`."""
        options.setdefault("check", False)
        return self.patch(
            user, resource, name, namespace, body, "--subresource=status", *args, **options
        )

    def review(self, user, resource, name, namespace, verdict, *, check=True, **review):
        """`kubectl patch` of a reviewer."""
        review.setdefault("rationale", "reviewed")
        body = json.dumps({"status": {"review": {"verdict": verdict, **review}}})
        return self.kubectl(
            user,
            *("patch", resource, name, "-n", namespace),
            *("--subresource=status", "--type=merge", "-p", body),
            check=check,
        )

    def open(self, namespace, evidence, state, *, name="web", user="requester", **spec):
        """Name of the request that an intent of a user leads to, once it is in a state."""
        self.apply(user, intent(namespace, name=name, evidence=evidence, **spec))
        return self.request_of(namespace, name, state)["metadata"]["name"]

    def request_of(self, namespace, intent="web", state=None, timeout=20.0):
        """The current request of an intent, once the intent's own status tells of it (and of the
        state)."""

        def current():
            found = self.get("deploymentintent", intent, namespace)
            status = found.get("status", {})
            if status.get("observedGeneration") != found["metadata"]["generation"]:
                return None
            if not status.get("state") or state not in (None, status["state"]):
                return None
            request = self.get("cabrequest", status["requestName"], namespace)
            return request if request["status"].get("state") == status["state"] else None

        return wait_until(current, timeout, f"a request of {namespace}/{intent} in state {state}")

    def wait_state(self, resource, name, namespace, state, timeout=20.0):
        """Wait until an object's status shows a state; the object."""

        def reached():
            found = self.get(resource, name, namespace)
            return found if found.get("status", {}).get("state") == state else None

        return wait_until(reached, timeout, f"{resource} {namespace}/{name} in state {state}")

    def shell(self, user, command, cabgate=None, env=None):
        """Run a command line that a message names, as a user; the completed process."""
        words = shlex.split(command)
        program = {"kubectl": self.cluster.binaries.kubectl, "cabgate": cabgate}[words[0]]
        return subprocess.run(
            [str(program), *words[1:]],
            env={
                "KUBECONFIG": str(self.user(user)),
                "HOME": str(self.cluster.directory),
                "EDITOR": "true",
                "PATH": f"{self.cluster.binaries.kubectl.parent}:/usr/bin:/bin",
                **(env or {}),
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )


@contextlib.contextmanager
def paused(process):
    """A process frozen for the time of the block: it lives and does not answer."""
    process.pause()
    try:
        yield
    finally:
        process.resume()


def told(result):
    """What the webhook said in a refusal, without what the API server and kubectl put before."""
    text = result if isinstance(result, str) else result.stderr
    said = text.partition("denied the request: ")[2].strip()
    assert said, f"not refused by the webhook: {text or result.stdout}"
    return said


def install(cluster: DevCluster, **values) -> Gate:
    """cabgate on a cluster, with these values of the chart, its users bound everywhere."""
    installation = Installation(cluster, values)
    installation.install()
    people.bind(cluster)
    return Gate(cluster, installation)
