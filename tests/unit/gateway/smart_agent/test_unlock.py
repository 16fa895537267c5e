import stat

import pytest

from gateway.errors import AgentError
from gateway.smart_agent.unlock import create_unlock, find_unlock, load_unlock


@pytest.fixture
def credentials(tmp_path, monkeypatch):
    folder = tmp_path / "credentials"
    folder.mkdir()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
    return folder


def test_without_a_credential_the_secret_is_a_random_private_file(tmp_path, monkeypatch):
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    source = find_unlock(tmp_path)

    assert create_unlock(source)
    secret = load_unlock(source)
    assert not create_unlock(source)

    assert source.path == tmp_path / "unlock"
    assert len(bytes.fromhex(secret.decode())) == 32
    assert stat.S_IMODE(source.path.stat().st_mode) == 0o600
    assert load_unlock(source) == secret, "an existing secret is kept"


def test_the_systemd_credential_is_preferred_and_never_written(tmp_path, credentials):
    (credentials / "smartshare-unlock").write_bytes(b"from the TPM\n")
    (credentials / "smartshare-unlock").chmod(0o440)  # systemd grants access by an ACL

    source = find_unlock(tmp_path)

    assert not create_unlock(source)
    assert source.is_credential
    assert load_unlock(source) == b"from the TPM"
    assert not (tmp_path / "unlock").exists()


def test_a_service_with_other_credentials_uses_the_file(tmp_path, credentials):
    assert find_unlock(tmp_path).path == tmp_path / "unlock"


@pytest.mark.parametrize("content", [b"", b"\n", b"  \n"])
def test_an_empty_secret_is_refused(tmp_path, credentials, content):
    (credentials / "smartshare-unlock").write_bytes(content)

    with pytest.raises(AgentError, match="is empty"):
        load_unlock(find_unlock(tmp_path))


def test_a_missing_file_is_named(tmp_path, monkeypatch):
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)

    with pytest.raises(AgentError, match=f"{tmp_path}/unlock is missing"):
        load_unlock(find_unlock(tmp_path))
