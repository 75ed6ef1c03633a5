# SPDX-License-Identifier: Apache-2.0
"""What people do with the gate, through the real kubectl."""

import contextlib
import json
import re
import shlex
import subprocess
from pathlib import Path

import httpx

from cabgate_devcluster import DevCluster, Installation, people, wait_until
from cabgate_samples.objects import intent
from support.clients import client_of, decided_answer, undecided

CONFLICT = "the object has been modified; please apply your changes to the latest version"
"""How the API server answers a write with another resourceVersion than the stored one."""


def once_decided(call):
    """The result of a process of kubectl, begun anew for as long as nothing is decided: the API
    server does not know a kind yet, as whatever file comes first on a control plane meets it, or
    the webhook had no answer in time."""

    def answered():
        result = call()
        assert result.returncode == 0 or not undecided(result.stderr), result.stderr
        return result

    return wait_until(answered, "an answer", timeout=120)


class Refused(AssertionError):  # noqa: N818 - what kubectl says, not a fault of the test
    """A command that should have passed did not."""


class Gate:
    """cabgate on a cluster, and its users."""

    def __init__(self, cluster: DevCluster, installation: Installation) -> None:
        self.cluster = cluster
        self.installation = installation
        self._users: dict[str, Path] = {}
        self._groups: dict[str, tuple[str, ...]] = {}
        self._clients: dict[str, httpx.Client] = {}

    def user(self, name, *groups):
        """Kubeconfig of a user; made at first use, in these groups. Files share a cluster: raises
        `ValueError` where another one has made a user of that name in other groups."""
        if groups and self._groups.setdefault(name, groups) != groups:
            raise ValueError(f"{name} was made in the groups {self._groups[name]}")
        if name not in self._users:
            self._groups[name] = groups
            if name.startswith("system:serviceaccount:"):
                _, _, namespace, account = name.split(":")
                self._users[name] = self.cluster.service_account(namespace, account)
            else:
                self._users[name] = self.cluster.user(name, groups)
        return self._users[name]

    def bind(self, user, role, namespace):
        """Bind a user to a ClusterRole in a namespace."""
        subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}
        if user.startswith("system:serviceaccount:"):
            _, _, home, account = user.split(":")
            subject = {"kind": "ServiceAccount", "name": account, "namespace": home}
        binding = {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": re.sub("[:/]", "-", f"{user}-{role}"), "namespace": namespace},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": role,
            },
            "subjects": [subject],
        }
        new = next(
            (each for each in self._rights(role) if not self.allowed(user, each, namespace)), None
        )
        self.cluster.api.apply(binding)
        if new is not None:  # the API server has its bindings from a cache
            wait_until(lambda: self.allowed(user, new, namespace), f"{user} is bound to {role}")

    def may(self, user, role, namespace):
        """Whether the API server grants a user the rights of a ClusterRole, as far as they are not
        about single objects."""
        return all(self.allowed(user, each, namespace) for each in self._rights(role))

    def _rights(self, role):
        """Group, resource and verb of what a ClusterRole grants: of a rule, its first resource."""
        for rule in self.cluster.api.get("clusterrole", role)["rules"]:
            if rule.get("resources") and not rule.get("resourceNames"):
                for verb in rule["verbs"]:
                    yield rule["apiGroups"][0], rule["resources"][0], verb

    def allowed(self, user, right, namespace):
        """Whether the API server grants a user a right in a namespace: group, resource and verb."""
        group, path, verb = right
        resource, _, sub = path.partition("/")
        attributes = {"group": group, "resource": resource, "subresource": sub}
        attributes |= {"verb": verb, "namespace": namespace}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {"user": user, "resourceAttributes": attributes},
        }
        path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
        return self.cluster.api.call("POST", path, review)["status"]["allowed"]

    def kubectl(self, user, *args, stdin=None, check=True):
        """Run kubectl as a user; the result, its output in `stdout` and `stderr`."""
        result = once_decided(lambda: self.tried_once(user, *args, stdin=stdin))
        if check and result.returncode != 0:
            raise Refused(f"{user}: kubectl {' '.join(map(str, args))}: {result.stderr}")
        return result

    def tried_once(self, user, *args, stdin=None):
        """The same whatever becomes of it, and even if nothing is decided."""
        return self.cluster.kubectl(*args, kubeconfig=self.user(user), stdin=stdin, check=False)

    def apply(self, user, obj, *args, check=True):
        """`kubectl apply` of an object."""
        return self._send(user, "apply", obj, *args, check=check)

    def declare(self, user, obj):
        """Have an object of cabgate's as a user has it after `kubectl apply`; without a process of
        kubectl where it is new."""
        noted = {"kubectl.kubernetes.io/last-applied-configuration": json.dumps(obj)}
        metadata = {**obj["metadata"], "annotations": noted}
        path = self.cluster.api.path(obj["kind"], metadata["namespace"])
        body = {**obj, "metadata": metadata}
        answer = decided_answer(lambda: self.client(user).post(path, json=body))
        if answer.status_code == httpx.codes.CONFLICT:
            self.apply(user, obj)
        elif answer.is_error:
            raise Refused(f"{user}: POST {path}: {answer.status_code} {answer.text}")

    def client(self, user):
        """Calls to the API server as a user, made at first use."""
        if user not in self._clients:
            self._clients[user] = client_of(self.user(user))
        return self._clients[user]

    def create(self, user, obj, *args, check=True):
        """`kubectl create` of an object."""
        return self._send(user, "create", obj, *args, check=check)

    def _send(self, user, verb, obj, *args, check):
        # To have the fields checked kubectl reads the whole schema: half of its CPU time.
        # And to compute a patch it reads that of one kind, as much again.
        unread = ("--validate=false", *(("--openapi-patch=false",) if verb == "apply" else ()))
        args = (verb, *unread, "-f", "-", *args)
        return self.kubectl(user, *args, stdin=json.dumps(obj), check=check)

    def replace(self, user, resource, name, namespace, change, *args, check=True):
        """`kubectl replace` of an object as `change` leaves it; the result. After a conflict it is
        begun anew with the latest version, as kubectl asks for: a controller may write between
        the read and the write."""

        def answered():
            stored = self.get(resource, name, namespace)
            change(stored)
            args_ = ("replace", "--validate=false", "-f", "-", *args)
            result = self.kubectl(user, *args_, stdin=json.dumps(stored), check=False)
            return None if CONFLICT in result.stderr else result

        result = wait_until(answered, f"a replacement of {resource} {name} without a conflict")
        if check and result.returncode != 0:
            raise Refused(f"{user}: kubectl replace {resource} {name}: {result.stderr}")
        return result

    def refused(self, user, *args, stdin=None):
        """The message of a command that must fail."""
        result = self.kubectl(user, *args, stdin=stdin, check=False)
        assert result.returncode != 0, f"{user}: passed, but should not: {args}"
        return result.stderr

    def get(self, resource, name, namespace):
        """An object as the API server has it."""
        return self.cluster.api.get(resource, name, namespace)

    def items(self, resource, namespace, *args):
        """The objects of a namespace, or those that further arguments of `kubectl get` select."""
        if not args:
            return self.cluster.api.items(resource, namespace)
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

    def patch_status(self, user, resource, name, namespace, body, *args, check=False, **options):
        """`kubectl patch --subresource=status`."""
        args = ("--subresource=status", *args)
        return self.patch(user, resource, name, namespace, body, *args, check=check, **options)

    def review(self, user, resource, name, namespace, verdict, *, check=True, **review):
        """`kubectl patch` of a reviewer."""
        review.setdefault("rationale", "reviewed")
        body = {"status": {"review": {"verdict": verdict, **review}}}
        return self.patch_status(user, resource, name, namespace, body, check=check)

    def open(self, namespace, evidence, state, *, name="web", user="requester", **spec):
        """Name of the request that an intent of a user leads to, once it is in a state."""
        self.declare(user, intent(namespace, name=name, evidence=evidence, **spec))
        return self.request_of(namespace, name, state)["metadata"]["name"]

    def request_of(self, namespace, intent="web", state=None, timeout=60.0):
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

        return wait_until(
            current, f"a request of {namespace}/{intent} in state {state}", timeout=timeout
        )

    def wait_state(self, resource, name, namespace, state, timeout=60.0):
        """Wait until an object's status shows a state; the object."""

        def reached():
            found = self.get(resource, name, namespace)
            return found if found.get("status", {}).get("state") == state else None

        return wait_until(
            reached, f"{resource} {namespace}/{name} in state {state}", timeout=timeout
        )

    def shell(self, user, command, cabgate=None, env=None):
        """Run a command line that a message names, as a user; the completed process."""
        words = shlex.split(command)
        program = {"kubectl": self.cluster.binaries.kubectl, "cabgate": cabgate}[words[0]]
        piped = ["bash", "-o", "pipefail", "-c", command]
        return once_decided(
            lambda: subprocess.run(
                piped if "|" in words else [str(program), *words[1:]],
                env={
                    "KUBECONFIG": str(self.user(user)),
                    "HOME": str(self.cluster.directory),
                    "EDITOR": "true",
                    "GOGC": "off",  # as `DevCluster.kubectl` has it
                    "PATH": f"{self.cluster.binaries.kubectl.parent}:/usr/bin:/bin",
                    **(env or {}),
                },
                capture_output=True,
                text=True,
                check=False,
                timeout=60,
            )
        )


@contextlib.contextmanager
def paused(process):
    """A process frozen for the time of the block: it lives and does not answer."""
    process.pause()
    try:
        yield
    finally:
        process.resume()


def denial(result):
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
