# SPDX-License-Identifier: Apache-2.0
"""Without a key to sign with the webhook does not start, and says why."""

import pytest
from click.testing import CliRunner

from cabgate_webhook.main import main


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "holds no PEM block"),
        (b"\xff\xfe", "codec can't decode"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", "no private key"),
        (None, "--signing-key"),
    ],
)
def test_a_key_file_that_cannot_be_used_is_told(tmp_path, content, says):
    key = tmp_path / "key.pem"
    args = ["--certificate", str(key), "--key", str(key)]
    key.write_bytes(content or b"")
    if content is not None:
        args += ["--signing-key", str(key)]
    result = CliRunner().invoke(main, args)
    assert result.exit_code == 2
    assert says in result.output
    assert "AAAA" not in result.output
