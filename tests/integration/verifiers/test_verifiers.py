"""Real verifier processes: they take work over, and whatever becomes of them changes no verdict."""

import os
import select
import signal
from collections.abc import Iterator

import pytest

from ledger.errors import Rejected
from ledger.node import verifiers as verifiers_module
from ledger.node.checking import STARTING_TRANSACTIONS_MIN, TransactionChecker, check_one_by_one
from ledger.node.verifiers import FAILURES_MAX, Verifier, Verifiers
from ledger.types.transaction import DeployContract, Transfer
from tests.support.transactions import ANNA, BEN, CHAIN_ID, build, sign

pytestmark = pytest.mark.integration
WAIT_S = 60.0
BLOCK = STARTING_TRANSACTIONS_MIN
RAWS = tuple(sign(build(ANNA, Transfer(BEN.address, 1), nonce=n), ANNA) for n in range(2 * BLOCK))


@pytest.fixture
def checker() -> Iterator[TransactionChecker]:
    with TransactionChecker(CHAIN_ID, verifiers=1) as checker:
        yield checker


def wait_for_message(verifier: Verifier) -> None:
    readable, _, _ = select.select([verifier._channel], [], [], WAIT_S)
    assert readable, "the verifier says nothing"


def start_one(checker: TransactionChecker) -> Verifier:
    """Let a block start the verifier, and wait until it takes work."""
    assert not isinstance(checker.check(RAWS[:BLOCK]), Rejected)
    (verifier,) = checker.verifiers.running
    while not verifier.is_ready:
        wait_for_message(verifier)
        checker.verifiers.exchange()
    return verifier


def has_ended(process_id: int) -> bool:
    """Tell whether a child of ours is gone, and nothing of it is left to be collected."""
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return True
    return False


def test_it_answers_while_its_owner_does_something_else(checker):
    verifier = start_one(checker)
    checking = checker.start(RAWS[:BLOCK])
    given = verifier.in_flight
    assert given == len(checking.parts) // 2
    while verifier.in_flight:
        wait_for_message(verifier)
        checker.verifiers.exchange()
    answered = [part for part in checking.parts if part.is_genuine is not None]
    assert len(answered) >= given
    assert checking.result() == check_one_by_one(RAWS[:BLOCK], CHAIN_ID)


def test_what_it_finds_forged_is_refused(checker):
    start_one(checker)
    raws = list(RAWS)
    raws[3] = raws[4][:-80] + raws[3][-80:]
    verdict = checker.check(tuple(raws))
    assert isinstance(verdict, Rejected)
    assert verdict == check_one_by_one(raws, CHAIN_ID)


def test_one_that_is_stopped_holds_nobody_up(checker):
    verifier = start_one(checker)
    os.kill(verifier.process_id, signal.SIGSTOP)
    checking = checker.start(RAWS)
    assert verifier.in_flight > 0
    assert checking.result() == check_one_by_one(RAWS, CHAIN_ID)


def test_one_that_is_killed_is_replaced(checker):
    verifier = start_one(checker)
    os.kill(verifier.process_id, signal.SIGSTOP)  # so that it answers nothing before it is killed
    checking = checker.start(RAWS)
    os.kill(verifier.process_id, signal.SIGKILL)
    assert checking.result() == check_one_by_one(RAWS, CHAIN_ID)
    while checker.verifiers.running:
        wait_for_message(verifier)  # its end
        checker.check(RAWS[:1])
    assert has_ended(verifier.process_id)
    assert start_one(checker).process_id != verifier.process_id


def test_a_small_block_starts_none(checker):
    assert not isinstance(checker.check(RAWS[: BLOCK - 1]), Rejected)
    assert not checker.verifiers.running


def test_what_is_too_large_for_a_verifier_is_checked_here(checker):
    verifier = start_one(checker)
    deploy = DeployContract("return {}" + " " * 60_000, "", b"\x80", 0)
    large = [sign(build(ANNA, deploy, nonce=n), ANNA) for n in range(3)]
    raws = [*large, *RAWS[:100]]
    checking = checker.start(raws)
    assert not checking.parts[0].is_sent
    assert checking.result() == check_one_by_one(raws, CHAIN_ID)
    assert checker.verifiers.running == [verifier]


def test_expected_blocks_are_verified_ahead_of_their_turn(checker):
    verifier = start_one(checker)
    blocks = [RAWS[start : start + 100] for start in range(0, len(RAWS), 100)]
    checker.expect(blocks)
    while verifier.in_flight:
        wait_for_message(verifier)
        checker.verifiers.exchange()
    verified = [part for begun in checker._expected.values() for part in begun.parts]
    assert all(part.is_genuine for part in verified)
    for raws in blocks:
        assert checker.check(raws) == check_one_by_one(raws, CHAIN_ID)


def test_it_ends_with_its_owner(checker):
    verifier = start_one(checker)
    checker.close()
    assert has_ended(verifier.process_id)


def test_it_ends_when_its_socket_does(checker):
    verifier = start_one(checker)
    verifier._channel.close()
    assert verifier._process.wait(WAIT_S) == 0


def test_where_none_can_run_none_is_tried_for_ever(monkeypatch, caplog):
    monkeypatch.setattr(verifiers_module, "_BOOT", "raise SystemExit(1)")
    verifiers = Verifiers(1)
    for _ in range(FAILURES_MAX):
        verifiers.start()
        wait_for_message(verifiers.running[0])
        verifiers.exchange()
        assert not verifiers.running
    verifiers.start()
    assert not verifiers.running
    assert "without processes of their own" in caplog.text
    verifiers.close()
