import os
import stat
from contextlib import suppress

import pytest

from gateway.errors import AgentError
from gateway.smart_agent import provision
from gateway.smart_agent.guard import read_guard_file
from gateway.smart_agent.judge import FIRST_RECORD, SignRecord, VoteRequest
from gateway.smart_agent.messages import Bind, RefusedReason, ReportTip, Signed, SignVote
from gateway.smart_agent.provision import (
    create_agent,
    open_agent,
    quarantine,
    renew_guard,
    show_guard,
    take_up_agent,
)
from gateway.smart_agent.sealed_key import LEAST, MODERATE, KdfLimits
from gateway.smart_agent.unlock import find_unlock
from ledger.crypto.domains import VoteKind
from tests.support.sealed_files import limits_of


def open_in(folder):
    return open_agent(folder, find_unlock(folder))


def test_a_new_agent_opens_with_the_keys_it_was_made_with(tmp_path, cheap_limits):
    folder = tmp_path / "home" / "agent"

    keys = create_agent(folder, find_unlock(folder), cheap_limits)

    with open_in(folder) as agent:
        assert agent.description == keys
    assert read_guard_file(folder / "guard").record == FIRST_RECORD
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert modes.pop("audit") == 0o700
    files = ["unlock", "sealed.key", "guard", "lock", "instance", "agent.json"]
    assert modes == dict.fromkeys(files, 0o600)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_secret_made_with_the_agent_costs_nothing_to_open_one_that_was_there_does(tmp_path):
    ours, found, default = (tmp_path / name for name in ("ours", "found", "default"))
    for folder in (found, default):
        folder.mkdir(mode=0o700)
        (folder / "unlock").touch(mode=0o600)
        (folder / "unlock").write_text("what a person chose\n")
    chosen = KdfLimits(2, 16_384)

    create_agent(ours, find_unlock(ours), chosen)
    create_agent(found, find_unlock(found), chosen)
    create_agent(default, find_unlock(default))

    assert limits_of(ours / "sealed.key") == LEAST
    assert limits_of(found / "sealed.key") == chosen
    assert limits_of(default / "sealed.key") == MODERATE


def test_an_agent_is_made_and_open_in_one_step_then_taken_up(tmp_path):
    folder = tmp_path / "home" / "agent"
    unlock = find_unlock(folder)

    with take_up_agent(folder, unlock) as agent:
        keys = agent.description
        agent.handle(Bind(b"i" * 32))
        with pytest.raises(AgentError, match="another SmartAgent runs"), open_in(folder):
            pass
    with take_up_agent(folder, unlock) as again:
        assert again.description.chain_id == b"i" * 32
        assert again.description.node == keys.node
    assert limits_of(folder / "sealed.key") == LEAST


@pytest.mark.parametrize("cut_at", ["create_unlock", "make_keys", "create_binding"])
def test_an_agent_whose_making_was_cut_off_is_made_or_kept_for_a_person(
    tmp_path, monkeypatch, cut_at
):
    folder = tmp_path / "agent"
    with monkeypatch.context() as patch:
        patch.setattr(provision, cut_at, lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError), take_up_agent(folder, find_unlock(folder)):
            pass
    if cut_at == "create_binding":
        with (
            pytest.raises(AgentError, match="already holds a SmartAgent"),
            take_up_agent(folder, find_unlock(folder)),
        ):
            pass
        return
    with take_up_agent(folder, find_unlock(folder)):
        pass
    # A secret that was found, be it ours of a minute ago, is taken for a person's.
    work = LEAST if cut_at == "create_unlock" else MODERATE
    assert limits_of(folder / "sealed.key") == work


def test_an_agent_is_never_overwritten(agent_folder, cheap_limits):
    before = {path.name: path.read_bytes() for path in agent_folder.iterdir()}

    with pytest.raises(AgentError, match="already holds a SmartAgent"):
        create_agent(agent_folder, find_unlock(agent_folder), cheap_limits)

    assert {path.name: path.read_bytes() for path in agent_folder.iterdir()} == before


@pytest.mark.parametrize("name", ["sealed.key", "guard", "agent.json"])
def test_what_is_left_of_an_agent_is_not_overwritten_either(agent_folder, cheap_limits, name):
    for path in agent_folder.iterdir():
        if path.name != name:
            path.unlink()

    with pytest.raises(AgentError, match="already holds a SmartAgent"):
        create_agent(agent_folder, find_unlock(agent_folder), cheap_limits)


def test_two_agents_on_one_folder_are_refused(agent_folder):
    with (
        open_in(agent_folder),
        pytest.raises(AgentError, match=f"another SmartAgent runs on {agent_folder}"),
        open_in(agent_folder),
    ):
        pass

    with open_in(agent_folder) as agent:
        assert agent.description.node


def test_the_folder_is_free_again_after_a_failure(agent_folder):
    with suppress(ZeroDivisionError), open_in(agent_folder):
        raise ZeroDivisionError

    with open_in(agent_folder):
        pass


def test_no_agent_no_service(tmp_path):
    with pytest.raises(AgentError, match="run `smartshare init` first"), open_in(tmp_path):
        pass


def test_a_folder_open_to_others_is_refused(agent_folder):
    agent_folder.chmod(0o755)

    with pytest.raises(AgentError, match=f"chmod 700 {agent_folder}"), open_in(agent_folder):
        pass


@pytest.mark.parametrize("name", ["unlock", "sealed.key", "guard", "agent.json"])
def test_a_file_open_to_others_is_refused(agent_folder, name):
    (agent_folder / name).chmod(0o640)

    with pytest.raises(AgentError, match=f"chmod 600 {agent_folder / name}"), open_in(agent_folder):
        pass


@pytest.mark.parametrize(
    ("uri", "mend"),
    [
        ("file:", "is not `file:NAME`"),
        ("file:../key", "is not `file:NAME`"),
        ("file:/etc/key", "is not `file:NAME`"),
        ("x", "of no known kind: write one of file:, pkcs11:"),
        ("tpm:0", "of no known kind"),
        ("pkcs11:token=x", "add .module-path"),
    ],
)
def test_a_key_that_is_nowhere_is_refused(agent_folder, uri, mend):
    path = agent_folder / "agent.json"
    path.write_text(path.read_text().replace("file:sealed.key", uri))

    with pytest.raises(AgentError, match=mend), open_in(agent_folder):
        pass


def test_without_its_guard_an_agent_does_not_open_until_it_is_renewed(agent_folder):
    guard = agent_folder / "guard"
    guard.unlink()
    with pytest.raises(AgentError, match="nothing is signed"), open_in(agent_folder):
        pass

    renew_guard(agent_folder, epoch=2, slot=0)

    with open_in(agent_folder) as agent:
        agent.handle(Bind(b"i" * 32))
        agent.handle(ReportTip(is_at_tip=True, agents=1))
        old = agent.handle(SignVote(VoteKind.NOTARIZE, 1, 900, b"a" * 32))
        new = agent.handle(SignVote(VoteKind.NOTARIZE, 2, 1, b"a" * 32))
    assert "before the newest slot" in old.detail
    assert len(new.signature) == 64


def test_a_guard_is_not_set_back(agent_folder):
    renew_guard(agent_folder, epoch=1, slot=5)

    for epoch, slot in [(1, 5), (1, 4), (0, 9)]:
        with pytest.raises(AgentError, match="is at epoch 1 slot 5"):
            renew_guard(agent_folder, epoch, slot)
    assert read_guard_file(agent_folder / "guard").record == SignRecord(1, 5)


def test_a_running_agents_guard_is_not_renewed(agent_folder):
    with open_in(agent_folder), pytest.raises(AgentError, match="another SmartAgent runs"):
        renew_guard(agent_folder, epoch=9, slot=0)


def vote_in(folder, epoch, slot, block_hash=b"a" * 32):
    with open_in(folder) as agent:
        agent.handle(Bind(b"i" * 32))
        agent.handle(ReportTip(is_at_tip=True, agents=1))
        return agent.handle(SignVote(VoteKind.NOTARIZE, epoch, slot, block_hash))


def test_after_a_quarantine_nothing_is_voted_for_two_epochs_and_the_alarm_is_lifted(agent_folder):
    assert isinstance(vote_in(agent_folder, 3, 50), Signed)
    with open_in(agent_folder) as agent:
        agent._desk.raise_alarm(VoteRequest(VoteKind.NOTARIZE, 3, 51, b"x" * 32))
    assert vote_in(agent_folder, 3, 52).reason is RefusedReason.ALARM
    assert "is not ours" in (show_guard(agent_folder)[1] or "")

    assert quarantine(agent_folder, current_epoch=3) == SignRecord(5, 0)

    assert show_guard(agent_folder) == (SignRecord(5, 0), None)
    assert vote_in(agent_folder, 4, 900).reason is RefusedReason.SIGN_GUARD
    assert isinstance(vote_in(agent_folder, 5, 1), Signed)


def test_a_restored_folder_without_its_record_is_quarantined(agent_folder):
    (agent_folder / "guard").unlink()

    assert quarantine(agent_folder, current_epoch=0) == SignRecord(2, 0)
    assert vote_in(agent_folder, 1, 7).reason is RefusedReason.SIGN_GUARD


@pytest.mark.parametrize("epoch", [-3, 2**32 - 2, 2**70])
def test_an_impossible_quarantine_changes_nothing(agent_folder, epoch):
    before = show_guard(agent_folder)

    with pytest.raises(AgentError, match="out of range"):
        quarantine(agent_folder, epoch)
    assert show_guard(agent_folder) == before


def test_a_quarantine_into_the_past_is_refused(agent_folder):
    vote_in(agent_folder, 9, 1)

    with pytest.raises(AgentError, match="cannot be set back"):
        quarantine(agent_folder, current_epoch=6)


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to work in another user's folder")
def test_root_looks_after_a_service_users_agent_without_taking_it_over(agent_folder):
    for path in (agent_folder, *agent_folder.iterdir()):
        os.chown(path, 65534, 65534)
    (agent_folder / "lock").unlink()

    quarantine(agent_folder, current_epoch=1)

    assert {path.stat().st_uid for path in agent_folder.iterdir()} == {65534}
