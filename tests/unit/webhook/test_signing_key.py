# SPDX-License-Identifier: Apache-2.0
"""Without a key to sign with the webhook does not start, and says why."""

import pytest

from cabgate_devcluster.clients.pki import Authority
from cabgate_webhook.main import main


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "holds no PEM block"),
        (b"\xff\xfe", "codec can't decode"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", "no private key"),
        (None, "is not set"),
    ],
)
def test_a_key_file_that_cannot_be_used_is_told(tmp_path, monkeypatch, capsys, content, says):
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    Authority("a test").server("webhook").write(certificate, key)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    (tmp_path / "kubeconfig").write_text(
        "current-context: c\n"
        "contexts: [{name: c, context: {cluster: c, user: u}}]\n"
        "clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}]\n"
        "users: [{name: u, user: {token: t}}]\n"
    )
    proof = tmp_path / "proof"
    proof.write_text("x" * 32)
    arguments = ["--certificate", str(certificate), "--key", str(key)]
    arguments += ["--admission-proof", str(proof)]
    if content is not None:
        signing = tmp_path / "key.pem"
        signing.write_bytes(content)
        arguments += ["--signing-key", str(signing)]
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert "--signing-key" in said
    assert says in said
    assert "AAAA" not in said
