"""The gateway's certificates: made once, renewed in time, for the names by which it is known."""

import ssl
from pathlib import Path

import pytest

from gateway.broker.certificates import (
    AUTHORITY_DAYS,
    RENEW_DAYS,
    SERVER_DAYS,
    CertificateFolder,
    days_left,
)
from gateway.broker.tls import server_context
from gateway.errors import BrokerError

DAY_MS = 24 * 3600 * 1000
NOW_MS = 1_790_000_000_000
NAMES = ("localhost", "127.0.0.1", "house.local")


@pytest.fixture
def folder(tmp_path: Path) -> CertificateFolder:
    folder = CertificateFolder(tmp_path / "tls")
    assert folder.ensure("house", NAMES, NOW_MS)
    return folder


def shake_hands(
    folder: CertificateFolder, name: str, client: Path | None = None, *, is_required: bool = False
) -> ssl.SSLObject:
    """Return the server's side after a whole handshake in memory; raises what the client sees."""
    server_in, server_out = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = server_context(folder.server, folder.authority if is_required else None)
    server = context.wrap_bio(server_in, server_out, server_side=True)
    trusting = ssl.create_default_context(cafile=str(folder.authority))
    if client is not None:
        trusting.load_cert_chain(client)
    peer = trusting.wrap_bio(server_out, server_in, server_hostname=name)
    for _ in range(4):
        for side in (peer, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return server


@pytest.mark.parametrize("name", NAMES)
def test_a_client_that_trusts_the_authority_accepts_the_server_under_its_names(folder, name):
    assert shake_hands(folder, name).version() == "TLSv1.3"


def test_under_another_name_it_does_not(folder):
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(folder, "evil.example")


def test_nothing_older_than_tls_1_2_is_spoken(folder):
    assert server_context(folder.server, None).minimum_version is ssl.TLSVersion.TLSv1_2


def test_a_required_client_certificate_is_enforced(folder, tmp_path):
    folder.issue_client("meter", tmp_path / "meter.pem", NOW_MS)
    server = shake_hands(folder, "localhost", tmp_path / "meter.pem", is_required=True)
    certificate = server.getpeercert()
    assert certificate is not None
    assert certificate["subject"] == ((("commonName", "meter"),),)

    with pytest.raises(ssl.SSLError, match="PEER_DID_NOT_RETURN_A_CERTIFICATE"):
        shake_hands(folder, "localhost", is_required=True)


def test_another_authoritys_client_is_refused(folder, tmp_path):
    other = CertificateFolder(tmp_path / "other")
    other.ensure("other", NAMES, NOW_MS)
    other.issue_client("meter", tmp_path / "meter.pem", NOW_MS)

    with pytest.raises(ssl.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        shake_hands(folder, "localhost", tmp_path / "meter.pem", is_required=True)


def test_a_client_certificate_is_no_server(folder, tmp_path):
    folder.issue_client("localhost", tmp_path / "client.pem", NOW_MS)
    folder.server.write_bytes((tmp_path / "client.pem").read_bytes())
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(folder, "localhost")


def test_a_certificate_is_issued_anew_only_when_it_is_due(folder):
    authority, server = folder.authority.read_bytes(), folder.server.read_bytes()
    last_day_ms = NOW_MS + (SERVER_DAYS - RENEW_DAYS) * DAY_MS

    assert not folder.ensure("house", NAMES[:1], last_day_ms)
    assert folder.server.read_bytes() == server
    assert folder.ensure("house", NAMES, last_day_ms + 2 * DAY_MS)
    assert folder.server.read_bytes() != server
    assert folder.ensure("house", (*NAMES, "192.168.1.5"), NOW_MS)
    assert folder.authority.read_bytes() == authority


def test_expiry_is_told_and_a_clock_of_the_past_does_not_shorten_it(folder, tmp_path):
    assert days_left(folder.server, NOW_MS) == SERVER_DAYS
    assert days_left(folder.authority, NOW_MS) == AUTHORITY_DAYS
    early = CertificateFolder(tmp_path / "early")
    early.ensure("house", NAMES, 0)
    assert days_left(early.server, 1_767_225_600_000) == SERVER_DAYS  # 2026-01-01


def test_keys_are_for_their_owner_alone(folder, tmp_path):
    folder.issue_client("meter", tmp_path / "meter.pem", NOW_MS)
    private = [folder.server, folder.authority.with_name("authority.key"), tmp_path / "meter.pem"]
    assert {path.stat().st_mode & 0o777 for path in private} == {0o600}
    assert folder.authority.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("file", ["authority.pem", "authority.key", "server.pem"])
def test_a_damaged_file_is_named(folder, tmp_path, file):
    (tmp_path / "tls" / file).write_text("nonsense")

    with pytest.raises(BrokerError, match=f"{file}: not a"):
        folder.ensure("house", (*NAMES, "another"), NOW_MS)


@pytest.mark.parametrize("name", ["", "küche.local"])
def test_a_name_that_fits_no_certificate_is_told(folder, name):
    with pytest.raises(BrokerError, match="cannot be a name in a certificate"):
        folder.ensure("house", (*NAMES, name), NOW_MS)


@pytest.mark.parametrize("user", ["", "x" * 65])
def test_what_fits_no_common_name_gets_no_certificate(folder, tmp_path, user):
    with pytest.raises(BrokerError, match="cannot be the name"):
        folder.issue_client(user, tmp_path / "x.pem", NOW_MS)
