"""The issuer's commands, from a new key to a grant that a node keeps: no node runs."""

import json
import os

import msgspec
import pytest

from gateway.cli.main import main
from gateway.ledger_host.grant_files import format_grant
from ledger.codec.text import format_address
from ledger.types.genesis_file import format_genesis
from tests.support.identity import MAKER_GRANT, OTHER, UNIT, sign_grant
from tests.support.ledger_lab import make_genesis


@pytest.fixture
def run(tmp_path, capsys, monkeypatch):
    """Run a command in a folder with a passphrase file; return exit code and output."""
    monkeypatch.chdir(tmp_path)
    descriptor = os.open("phrase", os.O_WRONLY | os.O_CREAT, 0o600)
    os.write(descriptor, b"correct horse battery\n")
    os.close(descriptor)

    def run(*arguments: str):
        code = main(arguments)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


KEY = ("--key", "issuer.key", "--passphrase-file", "phrase")


def issue(run, *changes: str, subject: str = format_address(UNIT.address)):
    usual = ("manufacturer", subject, "--genesis", "genesis.json", "--days", "30", *KEY)
    return run("grant", "issue", *usual, "--role", "agent", "--model", "gw-1", *changes)


def test_from_a_new_key_to_a_grant(run, tmp_path):
    code, out, _ = run("grant", "new-key", *KEY, "--json")
    assert code == 0
    address = json.loads(out)["address"]
    assert (tmp_path / "issuer.key").stat().st_mode & 0o077 == 0
    genesis = msgspec.structs.replace(make_genesis(), foundation=None)
    (tmp_path / "genesis.json").write_text(format_genesis(genesis))
    code, out, err = issue(run, "-o", "maker.grant", "--from", "2026-01-01T00:00:00Z", "--json")
    assert (code, err) == (0, "")
    grant_id = json.loads(out)["id"]

    code, out, _ = run("grant", "show", "maker.grant", "--json")
    assert code == 0
    shown = json.loads(out)
    assert shown["id"] == grant_id
    assert shown["issuer"] == address
    assert shown["subject"] == format_address(UNIT.address)
    assert (shown["from"], shown["until"]) == (
        "2026-01-01T00:00:00.000Z",
        "2026-01-31T00:00:00.000Z",
    )
    assert (shown["level"], shown["signature"]) == ("manufacturer", "good")


def test_a_forged_grant_is_shown_as_such(run, tmp_path):
    (tmp_path / "x.grant").write_text(format_grant(sign_grant(MAKER_GRANT, OTHER)))
    code, out, _ = run("grant", "show", "x.grant")
    assert code == 1
    assert "bad: not the issuer's" in out


def test_bad_input_is_one_line(run, tmp_path):
    (tmp_path / "genesis.json").write_text(format_genesis(make_genesis()))
    for arguments, words in (
        (("--days", "0"), "--days 0"),
        (("--from", "yesterday"), "not a UTC time"),
        ((), "issuer.key is missing"),
    ):
        code, out, err = issue(run, *arguments)
        assert (code, out) == (1, "")
        assert words in err
        assert err.count("\n") == 1
    code, _, err = issue(run, subject="ssp1typo")
    assert code == 1
    assert "address" in err


def test_a_short_passphrase_is_refused(run, tmp_path):
    (tmp_path / "phrase").write_text("short\n")
    code, _, err = run("grant", "new-key", *KEY)
    assert code == 1
    assert "shorter than 12" in err
    assert not (tmp_path / "issuer.key").exists()


def test_without_a_terminal_the_passphrase_needs_a_file(run, monkeypatch):
    code, _, err = run("grant", "new-key", "--key", "issuer.key")
    assert code == 1
    assert "--passphrase-file" in err


def test_a_measurement_is_printed_and_a_wrong_one_refused(run):
    code, out, _ = run("software", "measure")
    assert code == 0
    assert len(bytes.fromhex(out.strip())) == 32
    code, _, err = run("software", "list", "abc", "--label", "x", *KEY, "--home", "nowhere")
    assert code == 1
    assert "not a measurement" in err
