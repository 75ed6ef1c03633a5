# SPDX-License-Identifier: Apache-2.0
"""What others wrote, as messages print it: on one line, and with no phrase that a tool acts on.

Tools read the text of errors. Flux with `force: true` deletes and recreates an object whose apply
failed with "... is immutable", and a denial quotes what a reviewer said.
"""

import re
from dataclasses import dataclass

BREAK = "-"
"""What stands for the first blank of a phrase. It is seen, which is honest of what was changed; it
takes the room of the blank, so that nothing has to be cut for it; and no regular expression takes
it for space. A no-break space would be space to Python, Java and JavaScript, though not to RE2, and
counts as not printable here."""


@dataclass(frozen=True)
class Phrase:
    """A phrase in the text of an error that a tool acts on."""

    words: str
    """The phrase, with single blanks."""
    pattern: str
    """What the tool looks for: a regular expression."""
    project: str
    """The tool and its version."""
    where: str
    """File and line."""
    action: str
    """What the tool does."""


def _contains(words: str, project: str, where: str, action: str) -> Phrase:
    return Phrase(words, re.escape(words), project, where, action)


_FLUX = "github.com/fluxcd/pkg/ssa v0.76.2"
_ARGO = "github.com/argoproj/argo-cd v3.2.11"
_HELM = "helm.sh/helm v4.3.1"
_RECREATES = "with `force: true` it deletes the object and creates it anew"
_LISTS_AGAIN = "takes the failure for a passing one and lists again"
_ASKS_AGAIN = "sends the request again, if the answer is a 5xx"

PHRASES: tuple[Phrase, ...] = (
    Phrase("is immutable", r".*is\simmutable.*", _FLUX, "errors/immutable.go:27", _RECREATES),
    Phrase("immutable field", r".*immutable\sfield.*", _FLUX, "errors/immutable.go:28", _RECREATES),
    _contains("exceeded quota", _ARGO, "controller/cache/cache.go:439", _LISTS_AGAIN),
    _contains(
        "Operation cannot be fulfilled on resourcequota",
        _ARGO,
        "controller/cache/cache.go:443",
        _LISTS_AGAIN,
    ),
    _contains(
        "http2: server sent GOAWAY and closed the connection",
        _ARGO,
        "controller/cache/cache.go:435",
        _LISTS_AGAIN,
    ),
    _contains(
        "Connection closed by foreign host", _ARGO, "controller/cache/cache.go:459", _LISTS_AGAIN
    ),
    _contains(
        "net/http: TLS handshake timeout", _ARGO, "controller/cache/cache.go:468", _LISTS_AGAIN
    ),
    _contains("i/o timeout", _ARGO, "controller/cache/cache.go:469", _LISTS_AGAIN),
    _contains("connection timed out", _ARGO, "controller/cache/cache.go:470", _LISTS_AGAIN),
    _contains("connection reset by peer", _ARGO, "controller/cache/cache.go:471", _LISTS_AGAIN),
    _contains(
        "the server could not find the requested resource",
        _ARGO,
        "util/argo/argo.go:47",
        "shows a message of its own in place of the error: that a CRD is missing",
    ),
    _contains(
        "metadata.annotations: Too long: must have at most 262144 bytes",
        _ARGO,
        "util/argo/argo.go:58",
        "adds the advice to replace the object, which deletes it",
    ),
    _contains(
        "the object has been modified",
        _HELM,
        "pkg/kube/client.go:982",
        "tries a server-side apply again, if the answer is a 409 about a resource quota",
    ),
    _contains(
        'unable to recognize "": no matches for kind',
        _HELM,
        "pkg/action/upgrade.go:349",
        "says that the release holds an API that was removed",
    ),
    _contains(
        "if you choose to ignore these errors, turn validation off with --validate=false",
        _HELM,
        "pkg/kube/client.go:1325",
        "cuts the phrase out of the error",
    ),
    _contains("etcdserver: leader changed", _HELM, "pkg/kubeenv/roundtripper.go:71", _ASKS_AGAIN),
    _contains("raft proposal dropped", _HELM, "pkg/kubeenv/roundtripper.go:75", _ASKS_AGAIN),
)
"""The phrases with a blank in them, in the sources of what applies objects to a cluster; those
without are codes and names. docs/gitops/error-texts.md has the same table."""

_FOUND = {phrase: re.compile(re.escape(phrase.words), re.IGNORECASE) for phrase in PHRASES}


def printed(text: str) -> str:
    """The text on one line, as messages print it.

    What people wrote may hold line feeds, or characters that turn text around: the API server
    drops a warning that has them, and a denial must not look like something else. Nor must it look
    to a tool like an error that the tool knows: the first blank of such a phrase becomes a hyphen.
    """
    if not text.isprintable():
        text = "".join(c if c.isprintable() else " " for c in text)
    text = " ".join(text.split())
    # Again, because two phrases may share a word.
    while (broken := _broken(text)) != text:
        text = broken
    return text


def _broken(text: str) -> str:
    lower = text.lower()
    for phrase, pattern in _FOUND.items():
        if phrase.words.lower() in lower:
            text = pattern.sub(lambda found: found[0].replace(" ", BREAK, 1), text)
    return text


def quoted(value: object) -> str:
    """A value as a message quotes it: one line, not too long."""
    text = repr(value)
    return text if len(text) <= 80 else text[:76] + "..." + text[-1]
