"""Changing the unlock secret: at whatever step it is cut off, the keys open, and nothing of theirs changes."""

import stat

import pytest

from gateway.errors import AgentError
from gateway.smart_agent import sealed_key, unlock_change
from gateway.smart_agent.backup import make_backup
from gateway.smart_agent.keys import KeyPlace
from gateway.smart_agent.private_files import write_private
from gateway.smart_agent.provision import create_agent, open_agent, set_unlock
from gateway.smart_agent.recovery_words import words_of
from gateway.smart_agent.sealed_key import LEAST, MODERATE, KdfLimits, open_sealed_key
from gateway.smart_agent.unlock import find_unlock, load_unlock
from gateway.smart_agent.unlock_change import SECRET_LENGTH_MIN
from gateway.smart_agent.wallet_words import import_words
from tests.support.readings import ManualClock
from tests.support.sealed_files import limits_of

NEW = b"a new unlock secret"


class PowerCutError(Exception):
    """The machine stops here."""


@pytest.fixture
def place(agent_folder, cheap_limits):
    """An agent with an imported wallet: two sealed files."""
    place = KeyPlace(agent_folder, find_unlock(agent_folder), cheap_limits)
    import_words(place, words_of(bytes(32)), ManualClock())
    return place


def keys_of(place: KeyPlace):
    with open_agent(place.folder, place.unlock) as agent:
        return agent.description


def opens(place: KeyPlace, name: str, secret: bytes) -> bool:
    try:
        open_sealed_key(place.folder / name, secret)
    except AgentError:
        return False
    return True


def count_and_cut(monkeypatch, cut_at: int | None) -> list[str]:
    """Count the durable steps of a change; stop before the one with this number."""
    steps: list[str] = []

    def guarded(module, name: str) -> None:
        real = getattr(module, name)

        def step(path, *data):
            if len(steps) == cut_at:
                raise PowerCutError
            steps.append(path.name)
            return real(path, *data)

        monkeypatch.setattr(module, name, step)

    guarded(sealed_key, "write_private")
    guarded(unlock_change, "write_private")
    guarded(unlock_change, "remove_private")
    return steps


def test_the_keys_stay_and_the_old_secret_opens_nothing(place):
    keys, old = keys_of(place), load_unlock(place.unlock)
    files = set_unlock(place, NEW)
    assert [path.name for path in files] == ["sealed.key", "wallet.key"]
    assert keys_of(place) == keys
    assert load_unlock(place.unlock) == NEW
    assert not any(opens(place, path.name, old) for path in files)
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in (*files, place.unlock.path))
    assert not (place.folder / "unlock.next").exists()


def test_without_one_a_random_secret_is_made(place):
    keys = keys_of(place)
    seen = {load_unlock(place.unlock)}
    for _ in range(2):
        set_unlock(place, None)
        seen.add(load_unlock(place.unlock))
    assert len(seen) == 3
    assert all(len(one) == 64 for one in seen)
    assert keys_of(place) == keys


def test_under_a_secret_that_somebody_chose_the_keys_are_hard_to_try(place):
    assert limits_of(place.folder / "sealed.key") == LEAST
    for path in set_unlock(KeyPlace(place.folder, place.unlock), NEW):
        assert limits_of(path) == MODERATE


def test_under_a_random_secret_of_our_own_they_open_at_once(place):
    chosen = KeyPlace(place.folder, place.unlock, KdfLimits(2, 16_384))
    assert {limits_of(path) for path in set_unlock(chosen, NEW)} == {chosen.limits}
    assert {limits_of(path) for path in set_unlock(chosen, None)} == {LEAST}


@pytest.mark.parametrize("new", [NEW, None])
def test_a_change_that_another_process_finishes_counts_as_one_to_a_chosen_secret(
    place, monkeypatch, new
):
    (place.folder / "wallet.key").unlink()
    with monkeypatch.context() as patch:
        count_and_cut(patch, STEPS.index("sealed.key"))
        with pytest.raises(PowerCutError):
            set_unlock(place, new)
    keys_of(place)
    assert limits_of(place.folder / "sealed.key") == MODERATE


STEPS = ["unlock.next", "sealed.key", "wallet.key", "unlock", "unlock.next"]


def test_these_are_the_steps(place, monkeypatch):
    steps = count_and_cut(monkeypatch, None)
    set_unlock(place, NEW)
    assert steps == STEPS


@pytest.mark.parametrize("finish", [keys_of, lambda place: set_unlock(place, NEW)])
@pytest.mark.parametrize("cut_at", range(len(STEPS)))
def test_a_power_cut_at_any_step_leaves_keys_that_open(place, monkeypatch, cut_at, finish):
    keys, old = keys_of(place), load_unlock(place.unlock)
    with monkeypatch.context() as patch:
        count_and_cut(patch, cut_at)
        with pytest.raises(PowerCutError):
            set_unlock(place, NEW)
    for name in ("sealed.key", "wallet.key"):
        assert opens(place, name, old) or opens(place, name, NEW)
    finish(place)
    assert keys_of(place) == keys
    is_changed = cut_at > 0 or finish is not keys_of
    assert load_unlock(place.unlock) == (NEW if is_changed else old)
    assert not (place.folder / "unlock.next").exists()


def test_it_may_be_cut_off_again_while_it_is_finished(place, monkeypatch):
    keys = keys_of(place)
    for cut_at in (2, 0, 1, 2):
        with monkeypatch.context() as patch:
            count_and_cut(patch, cut_at)
            with pytest.raises(PowerCutError):
                set_unlock(place, NEW)
    assert keys_of(place) == keys


def test_a_backup_of_a_change_that_was_cut_off_is_whole(place, monkeypatch, tmp_path):
    with monkeypatch.context() as patch:
        count_and_cut(patch, 2)
        with pytest.raises(PowerCutError):
            set_unlock(place, NEW)
    make_backup(place.folder, tmp_path / "keys.backup")
    assert all(opens(place, name, NEW) for name in ("sealed.key", "wallet.key"))


def test_with_a_wrong_old_secret_nothing_is_changed(place):
    write_private(place.unlock.path, b"not the one it was sealed with\n")
    before = {path.name: path.read_bytes() for path in place.folder.glob("*.key")}
    with pytest.raises(AgentError, match="is not the one it was sealed with"):
        set_unlock(place, NEW)
    assert {path.name: path.read_bytes() for path in place.folder.glob("*.key")} == before
    assert not (place.folder / "unlock.next").exists()


def test_a_short_secret_is_refused(place):
    old = load_unlock(place.unlock)
    with pytest.raises(AgentError, match="shorter than 12"):
        set_unlock(place, b"x" * (SECRET_LENGTH_MIN - 1))
    assert load_unlock(place.unlock) == old


def test_not_while_the_agent_runs(place):
    with (
        open_agent(place.folder, place.unlock),
        pytest.raises(AgentError, match="another SmartAgent runs"),
    ):
        set_unlock(place, NEW)


@pytest.fixture
def credential(tmp_path, cheap_limits, monkeypatch):
    """An agent whose secret systemd hands over."""
    folder = tmp_path / "credentials"
    folder.mkdir()
    (folder / "smartshare-unlock").write_bytes(b"the old credential")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
    agent = tmp_path / "home" / "agent"
    place = KeyPlace(agent, find_unlock(agent), cheap_limits)
    assert place.unlock.is_credential
    create_agent(agent, place.unlock, cheap_limits)
    return place


def test_a_credential_is_its_owners_to_replace_and_its_secret_is_not_written(credential):
    keys = keys_of(credential)
    with pytest.raises(AgentError, match="name its file with --to"):
        set_unlock(credential, None)
    set_unlock(credential, NEW)
    assert not any(
        NEW in path.read_bytes() for path in credential.folder.iterdir() if path.is_file()
    )
    with pytest.raises(AgentError, match="is not the one it was sealed with"):
        keys_of(credential)
    credential.unlock.path.write_bytes(NEW)
    assert keys_of(credential) == keys


def test_a_change_under_a_credential_that_was_cut_off_is_finished_by_the_same_command(
    credential, cheap_limits, monkeypatch
):
    keys = keys_of(credential)
    import_words(credential, words_of(bytes(32)), ManualClock())
    with monkeypatch.context() as patch:
        count_and_cut(patch, 1)
        with pytest.raises(PowerCutError):
            set_unlock(credential, NEW)
    set_unlock(credential, NEW)
    credential.unlock.path.write_bytes(NEW)
    assert keys_of(credential).node == keys.node
