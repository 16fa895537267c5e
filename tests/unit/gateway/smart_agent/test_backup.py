"""A backup brings the keys back and never the right to vote where another copy may have voted."""

import io
import shutil
import stat
import tarfile

import pytest

from gateway.errors import AgentError
from gateway.smart_agent.backup import make_backup, restore_backup
from gateway.smart_agent.messages import Bind, ReportTip, Signed, SignVote
from gateway.smart_agent.private_files import write_private
from gateway.smart_agent.provision import open_agent, quarantine
from gateway.smart_agent.unlock import find_unlock
from ledger.crypto.domains import VoteKind


def open_in(folder):
    return open_agent(folder, find_unlock(folder))


def vote_in(folder, epoch):
    with open_in(folder) as agent:
        agent.handle(Bind(b"i" * 32))
        agent.handle(ReportTip(is_at_tip=True, agents=1))
        return agent.handle(SignVote(VoteKind.NOTARIZE, epoch, 5, b"a" * 32))


@pytest.fixture
def backup(agent_folder, tmp_path):
    assert isinstance(vote_in(agent_folder, 3), Signed)
    make_backup(agent_folder, tmp_path / "backup")
    return tmp_path / "backup"


def test_neither_guard_nor_unlock_secret_nor_instance_is_in_a_backup(backup, agent_folder):
    with tarfile.open(backup) as archive:
        assert archive.getnames() == ["sealed.key", "agent.json"]
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    data = backup.read_bytes()
    for name in ("guard", "unlock", "instance"):
        assert (agent_folder / name).read_bytes()[:32] not in data


def test_a_restored_agent_has_its_keys_and_votes_after_a_quarantine_only(
    backup, agent_folder, tmp_path
):
    with open_in(agent_folder) as agent:
        keys = agent.description
    restored = tmp_path / "restored"
    restored.mkdir(mode=0o700)
    shutil.copy(agent_folder / "unlock", restored)

    assert restore_backup(backup, restored) == ["sealed.key", "agent.json"]

    with (
        pytest.raises(AgentError, match=r"guard .* is missing; nothing is signed"),
        open_in(restored),
    ):
        pass
    quarantine(restored, current_epoch=3)
    with open_in(restored) as agent:
        assert agent.description == keys
    assert not isinstance(vote_in(restored, 4), Signed)
    assert isinstance(vote_in(restored, 5), Signed)


def test_limits_pages_and_an_imported_wallet_come_along(agent_folder, tmp_path):
    names = ["wallet.key", "spending-policy", "spending-account", "metering-pages", "onion.json"]
    for name in names:
        write_private(agent_folder / name, name.encode())

    make_backup(agent_folder, tmp_path / "backup")
    restore_backup(tmp_path / "backup", tmp_path / "restored")

    for name in names:
        assert (tmp_path / "restored" / name).read_bytes() == name.encode()


def test_nothing_is_overwritten(backup, agent_folder, tmp_path):
    before = (agent_folder / "sealed.key").read_bytes()

    with pytest.raises(AgentError, match="restore into an empty folder"):
        restore_backup(backup, agent_folder)
    with pytest.raises(AgentError, match="choose another name"):
        make_backup(agent_folder, backup)
    assert (agent_folder / "sealed.key").read_bytes() == before


def test_not_while_it_runs(agent_folder, tmp_path):
    with open_in(agent_folder), pytest.raises(AgentError, match="another SmartAgent runs"):
        make_backup(agent_folder, tmp_path / "backup")


def packed(*members):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, kind in members:
            member = tarfile.TarInfo(name)
            member.type = kind
            member.linkname = "/etc/passwd" if kind == tarfile.SYMTYPE else ""
            member.size = 3 if kind == tarfile.REGTYPE else 0
            archive.addfile(member, io.BytesIO(b"abc"))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", "is not a backup"),
        (b"any text at all", "is not a backup"),
        (packed(("../../evil", tarfile.REGTYPE)), "'../../evil' does not belong"),
        (packed(("/etc/passwd", tarfile.REGTYPE)), "does not belong"),
        (packed(("guard", tarfile.REGTYPE)), "'guard' does not belong"),
        (packed(("sealed.key", tarfile.SYMTYPE)), "'sealed.key' does not belong"),
        (packed(("sealed.key", tarfile.DIRTYPE)), "does not belong"),
        (packed(("sealed.key", tarfile.REGTYPE)), "agent.json is missing"),
        (packed(("agent.json", tarfile.REGTYPE))[:520], "is not a backup, or damaged|is missing"),
    ],
)
def test_what_is_no_backup_of_ours_writes_nothing(tmp_path, content, line):
    source = tmp_path / "backup"
    source.write_bytes(content)
    source.chmod(0o600)

    with pytest.raises(AgentError, match=line) as caught:
        restore_backup(source, tmp_path / "agent")

    assert "\n" not in str(caught.value)
    assert not (tmp_path / "agent").exists()


def test_a_backup_open_to_others_is_refused(backup, tmp_path):
    backup.chmod(0o644)
    with pytest.raises(AgentError, match="chmod 600"):
        restore_backup(backup, tmp_path / "agent")
