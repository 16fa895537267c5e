"""Recovery words: for the wallet alone, checked before anything changes, and never repeated in an error."""

import pytest

from gateway.errors import AgentError
from gateway.smart_agent.audit.entry import Entry, EntryKind
from gateway.smart_agent.audit.verify import verify_log
from gateway.smart_agent.keys import KeyPlace
from gateway.smart_agent.provision import create_agent, open_agent
from gateway.smart_agent.recovery_words import seed_of, words_of
from gateway.smart_agent.unlock import find_unlock
from gateway.smart_agent.wallet_words import export_words, import_words
from tests.support.readings import ManualClock

# BIP-39's own vectors for 256 bits of entropy.
VECTORS = [
    ("00" * 32, "abandon " * 23 + "art"),
    ("7f" * 32, "legal winner thank year wave sausage worth useful " * 2
     + "legal winner thank year wave sausage worth title"),
    ("80" * 32, "letter advice cage absurd amount doctor acoustic avoid " * 2
     + "letter advice cage absurd amount doctor acoustic bless"),
    ("ff" * 32, "zoo " * 23 + "vote"),
]  # fmt: skip


@pytest.fixture
def place(agent_folder, cheap_limits):
    return KeyPlace(agent_folder, find_unlock(agent_folder), cheap_limits)


@pytest.fixture
def other_place(tmp_path, cheap_limits):
    folder = tmp_path / "other"
    create_agent(folder, find_unlock(folder), cheap_limits)
    return KeyPlace(folder, find_unlock(folder), cheap_limits)


def keys_of(place):
    with open_agent(place.folder, place.unlock) as agent:
        return agent.description


@pytest.mark.parametrize(("seed", "words"), VECTORS)
def test_words_are_those_of_bip39(seed, words):
    assert words_of(bytes.fromhex(seed)) == words.strip()
    assert seed_of(words) == bytes.fromhex(seed)
    assert seed_of(f"  {words.upper()} \n") == bytes.fromhex(seed)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("", "0 words: a wallet has 24"),
        ("abandon " * 12, "12 words"),
        ("abandon " * 24, "do not fit each other"),
        ("abandon " * 22 + "art abandon", "do not fit each other"),
        ("abandon " * 20 + "secretword " + "abandon " * 3, "word 21 is not in the BIP-39 list"),
    ],
)
def test_wrong_words_are_one_line_that_does_not_repeat_them(words, line):
    with pytest.raises(AgentError, match=line) as caught:
        seed_of(words)
    assert "secretword" not in str(caught.value)
    assert "abandon" not in str(caught.value)


def test_a_wallet_moves_to_another_node_and_the_other_keys_do_not(place, other_place):
    before, other = keys_of(place), keys_of(other_place)

    wallet = import_words(other_place, export_words(place, ManualClock()), ManualClock())

    after = keys_of(other_place)
    assert wallet == after.wallet == before.wallet
    assert (after.node, after.consensus, after.metering) == (
        other.node, other.consensus, other.metering
    )  # fmt: skip
    assert export_words(other_place, ManualClock()) == export_words(place, ManualClock())


def test_both_are_in_the_audit_log_without_the_words(place, other_place):
    words = export_words(place, ManualClock())
    import_words(other_place, words, ManualClock())

    for one in (place, other_place):
        entries: list[Entry] = []
        report = verify_log(one.folder / "audit", visit=_adder(entries))
        assert report.problem == ""
        kind = EntryKind.WORDS_SHOWN if one is place else EntryKind.WALLET_REPLACED
        assert [entry.kind for entry in entries] == [kind]
        for path in one.folder.rglob("*"):
            if path.is_file():
                assert words.split()[0].encode() + b" " not in path.read_bytes()


def _adder(entries):
    return lambda entry, _head: entries.append(entry)


def test_an_imported_wallet_is_not_replaced(place, other_place):
    import_words(other_place, VECTORS[0][1], ManualClock())
    before = keys_of(other_place)

    with pytest.raises(AgentError, match="holds an imported wallet"):
        import_words(other_place, VECTORS[1][1], ManualClock())
    assert keys_of(other_place) == before


def test_not_while_the_agent_runs(place):
    with open_agent(place.folder, place.unlock):
        for action in (
            lambda: export_words(place, ManualClock()),
            lambda: import_words(place, VECTORS[0][1], ManualClock()),
        ):
            with pytest.raises(AgentError, match="another SmartAgent runs"):
                action()


def test_a_wallet_in_a_token_has_no_words(place):
    path = place.folder / "agent.json"
    path.write_text(path.read_text().replace("file:sealed.key", "pkcs11:token=x?module-path=/m"))

    for action in (
        lambda: export_words(place, ManualClock()),
        lambda: import_words(place, VECTORS[0][1], ManualClock()),
    ):
        with pytest.raises(AgentError, match="in a hardware token"):
            action()


def test_without_an_agent_there_is_no_wallet(tmp_path, cheap_limits):
    place = KeyPlace(tmp_path, find_unlock(tmp_path), cheap_limits)
    with pytest.raises(AgentError, match="run `smartshare init` first"):
        export_words(place, ManualClock())
