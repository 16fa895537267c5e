"""An issuer's key and the text form of its grants."""

import pytest

from gateway.app.issuer import GrantTerms, create_issuer_key, issue_grant, open_issuer_key
from gateway.errors import AgentError, SettingsError
from gateway.ledger_host.grant_files import GRANT_TEXT_PREFIX, format_grant, load_grant, parse_grant
from gateway.smart_agent.sealed_key import KdfLimits
from ledger.crypto import domains
from ledger.crypto.ed25519 import verify_strict
from ledger.identity.grant import GrantLevel, Role, decode_grant
from ledger.identity.refusals import Refused

CHEAP = KdfLimits(1, 8192)
TERMS = GrantTerms(
    bytes(32), GrantLevel.MANUFACTURER, b"s" * 32, 1, 2, (Role.FULL, Role.AGENT), ("b", "a", "b")
)


@pytest.fixture
def key(tmp_path):
    return create_issuer_key(tmp_path / "issuer.key", b"a long passphrase", CHEAP)


def test_a_key_opens_with_its_passphrase_alone(tmp_path, key):
    path = tmp_path / "issuer.key"
    assert open_issuer_key(path, b"a long passphrase").address == key.address
    with pytest.raises(AgentError, match="cannot unseal"):
        open_issuer_key(path, b"another passphrase")
    with pytest.raises(SettingsError, match="exists"):
        create_issuer_key(path, b"a long passphrase", CHEAP)
    assert "sealed" in repr(key)


def test_an_issued_grant_is_in_order_signed_and_unique(key):
    raw = issue_grant(key, TERMS)
    decoded = decode_grant(raw)
    assert not isinstance(decoded, Refused)
    grant, envelope = decoded
    assert (grant.issuer, grant.roles, grant.models) == (
        key.address,
        (Role.AGENT, Role.FULL),
        ("a", "b"),
    )
    message = domains.grant_message(envelope.payload)
    assert verify_strict(key.address, message, envelope.signature)
    assert issue_grant(key, TERMS) != raw


def test_terms_that_mean_nothing_are_refused(key):
    terms = GrantTerms(bytes(32), GrantLevel.UNIT, b"s" * 32, 2, 2, (Role.FULL,), ("a",))
    with pytest.raises(SettingsError, match="ends before it begins"):
        issue_grant(key, terms)


def test_a_grant_is_a_line_of_text(tmp_path, key):
    raw = issue_grant(key, TERMS)
    text = format_grant(raw)
    assert parse_grant(text + "\n") == raw
    path = tmp_path / "x.grant"
    path.write_text(text)
    assert load_grant(path) == raw


@pytest.mark.parametrize(
    "content",
    [b"", b"hello", GRANT_TEXT_PREFIX.encode(), f"{GRANT_TEXT_PREFIX}!!".encode(), b"\xff" * 9],
)
def test_what_is_no_grant_is_said_with_the_file(tmp_path, content):
    path = tmp_path / "x.grant"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match=r"x\.grant: not a grant"):
        load_grant(path)


def test_a_changed_character_is_noticed(key):
    text = format_grant(issue_grant(key, TERMS))
    shortened = text[:-2]
    with pytest.raises(SettingsError, match="not a grant"):
        parse_grant(shortened)
