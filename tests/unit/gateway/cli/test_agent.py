"""`smartshare agent audit ...` and `guard ...` on an agent that does not run."""

import io
import json
import re

import pytest

from gateway.cli import agent as agent_commands
from gateway.cli.main import main
from gateway.smart_agent.provision import create_agent, open_agent
from gateway.smart_agent.sealed_key import KdfLimits
from gateway.smart_agent.unlock import find_unlock, load_unlock


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    folder = tmp_path / "agent"
    create_agent(folder, find_unlock(folder), KdfLimits(ops=1, memory_bytes=8192))
    for _ in range(3):
        with open_agent(folder, find_unlock(folder)):
            pass
    return tmp_path


def run(capsys, *arguments):
    code = main(arguments)
    out, err = capsys.readouterr()
    return code, out, err


def test_a_whole_log_is_whole(home, capsys):
    code, out, _ = run(capsys, "agent", "audit", "verify", "--home", str(home), "--json")

    assert code == 0
    report = json.loads(out)
    assert report["whole"] is True
    assert (report["first"], report["last"], report["problem"]) == (1, 3, "")


def test_a_changed_log_names_the_first_broken_entry_and_fails(home, capsys):
    [segment] = (home / "agent" / "audit").glob("*.log")
    data = bytearray(segment.read_bytes())
    data[-100] ^= 1
    segment.write_bytes(data)

    code, out, _ = run(capsys, "agent", "audit", "verify", "--home", str(home))

    assert code == 1
    assert out.startswith("NOT WHOLE: entry 3 was changed")


def test_the_newest_entries_are_shown_with_home_on_either_side(home, capsys):
    code, out, _ = run(capsys, "agent", "--home", str(home), "audit", "show", "--last", "2")

    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == ["sequence", "2", "3"]


def test_the_guard_is_shown_set_and_quarantined_but_never_set_back(home, capsys):
    place = ("--home", str(home))
    assert run(capsys, "agent", "guard", "set", "1:20", *place)[0] == 0
    code, _, err = run(capsys, "agent", "guard", "set", "1:20", *place)
    assert code == 1
    assert "cannot be set back" in err
    code, _, err = run(capsys, "agent", "guard", "set", "soon", *place)
    assert code == 1
    assert "write EPOCH:SLOT" in err
    assert run(capsys, "agent", "guard", "quarantine", "--epoch", "4", *place)[0] == 0

    _, out, _ = run(capsys, "agent", "guard", "show", "--json", *place)
    shown = json.loads(out)
    assert (shown["epoch"], shown["slot"], shown["alarm"]) == (6, 0, None)


def test_words_are_shown_after_a_yes_and_bring_the_wallet_back(home, capsys, monkeypatch):
    hardened = []
    monkeypatch.setattr(agent_commands, "forbid_memory_dumps", lambda: hardened.append(True))
    place = ("--home", str(home))
    monkeypatch.setattr("sys.stdin", io.StringIO("no\n"))
    code, out, err = run(capsys, "agent", "wallet-words", "export", *place)
    assert (code, out) == (1, "")
    assert "nothing was shown" in err

    monkeypatch.setattr("sys.stdin", io.StringIO("yes\n"))
    code, out, _ = run(capsys, "agent", "wallet-words", "export", *place)
    assert code == 0
    words = re.findall(r"\d+ ([a-z]+)", out)
    assert len(words) == 24

    monkeypatch.setattr("sys.stdin", io.StringIO(" ".join(words) + "\n"))
    code, out, _ = run(capsys, "agent", "wallet-words", "import", *place)
    assert code == 0
    assert "ssp1" in out
    assert len(hardened) == 2


def test_without_a_log_one_line_says_so(tmp_path, capsys):
    code, _, err = run(capsys, "agent", "audit", "verify", "--home", str(tmp_path))

    assert code == 1
    assert "there is no audit log" in err


def test_the_unlock_secret_is_changed_to_one_in_a_private_file(home, capsys, tmp_path):
    secret = tmp_path / "new-secret"
    secret.write_text("a new unlock secret\n")
    command = ("agent", "change-unlock", "--to", str(secret), "--home", str(home))
    secret.chmod(0o644)
    code, _, err = run(capsys, *command)
    assert code == 1
    assert "is open to others" in err

    secret.chmod(0o600)
    code, out, _ = run(capsys, *command)
    assert code == 0
    assert "sealed.key in " in out
    assert "a new unlock secret" not in out
    assert load_unlock(find_unlock(home / "agent")) == b"a new unlock secret"
    with open_agent(home / "agent", find_unlock(home / "agent")):
        pass


def test_who_has_a_credential_is_told_how_to_make_the_next(home, capsys, tmp_path, monkeypatch):
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (home / "agent" / "unlock").rename(credentials / "smartshare-unlock")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    secret = tmp_path / "new-secret"
    secret.write_text("a new unlock secret\n")
    secret.chmod(0o600)
    code, out, _ = run(capsys, "agent", "change-unlock", "--to", str(secret), "--home", str(home))
    assert code == 0
    assert f"systemd-creds encrypt --name=smartshare-unlock {secret} " in out
