"""Readings become final anchors exactly once, whatever goes away and comes back meanwhile."""

import asyncio
import shutil

import pytest

from gateway.app.anchoring import PENDING_MAX
from gateway.errors import MessagingError
from gateway.readings.records import SettlementStatus
from ledger.types.outcome import OutcomeStatus
from ledger.types.transaction import Anchor, RegisterDevice
from tests.support.gateway_lab import GatewayLab
from tests.support.ledger_lab import address_of, sign_body
from tests.support.readings import PROFILE, store_run

OTHER_PROFILE = b"q" * 32


async def test_stored_readings_are_anchored_once(tmp_path):
    async with GatewayLab(tmp_path) as lab:
        device_id = lab.register("meter")
        await store_run(lab.store, "meter", 5)
        lab.start()
        await lab.until_anchored("meter", 5)

        await store_run(lab.store, "meter", 3)
        await lab.until_anchored("meter", 8)

        assert lab.anchors() == [(1, 5), (6, 3)]
        assert lab.registrations() == [PROFILE], "a device is registered once"
        record = lab.node.device(device_id)
        assert record is not None
        assert record.next_sequence == 9
        await lab.until(lambda: lab.service.anchored == 8)
        await lab.until(lambda: not lab.service.problem)
        assert lab.store.pending_transactions() == []


async def test_a_batch_waits_for_its_age_or_its_count(tmp_path):
    async with GatewayLab(tmp_path, count_max=4, age_max_ms=10_000) as lab:
        lab.register("meter")
        await store_run(lab.store, "meter", 3)
        lab.start()
        await lab.until(lambda: not lab.service.problem)
        assert lab.store.newest_batch("meter") is None

        await store_run(lab.store, "meter", 3)
        await lab.until_anchored("meter", 4)
        assert lab.anchors() == [(1, 4)]

        lab.clock.time_ms += 10_000
        await lab.until_anchored("meter", 6)
        assert lab.anchors() == [(1, 4), (5, 2)]


async def test_a_new_profile_is_registered_before_its_readings_are_anchored(tmp_path):
    async with GatewayLab(tmp_path) as lab:
        lab.register("meter")
        await store_run(lab.store, "meter", 2)
        lab.register("meter", OTHER_PROFILE)
        await store_run(lab.store, "meter", 3)
        lab.start()
        await lab.until_anchored("meter", 5)

        bodies = [body for body, _ in lab.final(Anchor | RegisterDevice)]  # type: ignore[arg-type]
        assert [type(body) for body in bodies] == [RegisterDevice, Anchor, RegisterDevice, Anchor]
        assert [body.profile_hash for body in bodies] == [
            *(PROFILE, PROFILE),
            *(OTHER_PROFILE, OTHER_PROFILE),
        ]
        assert lab.anchors() == [(1, 2), (3, 3)]


async def test_a_ledger_that_is_away_costs_nothing_but_time(tmp_path):
    async with GatewayLab(tmp_path, timeout_s=0.05) as lab:
        lab.register("meter")
        lab.is_ledger_away = True
        lab.start()
        await store_run(lab.store, "meter", 4)
        await lab.until(lambda: "did not answer" in lab.service.problem)
        assert lab.anchors() == []

        lab.is_ledger_away = False
        await lab.until_anchored("meter", 4)
        assert lab.anchors() == [(1, 4)]
        await lab.until(lambda: not lab.service.problem)


async def test_an_agent_that_is_away_costs_nothing_but_time(tmp_path):
    async with GatewayLab(tmp_path) as lab:
        lab.register("meter")
        lab.agent.is_away = True
        lab.start()
        await store_run(lab.store, "meter", 4)
        await lab.until(lambda: "SmartAgent" in lab.service.problem)
        assert lab.store.pending_transactions() == []

        lab.agent.is_away = False
        await lab.until_anchored("meter", 4)
        assert lab.anchors() == [(1, 4)]


async def test_what_a_ledger_lost_is_submitted_again(tmp_path):
    async with GatewayLab(tmp_path) as lab:
        lab.register("meter")
        lab.lose_submissions = True
        await store_run(lab.store, "meter", 4)
        lab.start()
        await lab.until(lambda: len(lab.store.pending_transactions()) == 2)
        signed = lab.agent.signed

        lab.lose_submissions = False
        await lab.until_anchored("meter", 4)
        assert lab.anchors() == [(1, 4)]
        assert lab.agent.signed == signed, "the very same bytes are sent again"


@pytest.mark.parametrize("is_submitted", [True, False])
async def test_a_crash_after_signing_neither_skips_nor_doubles(tmp_path, is_submitted):
    async with GatewayLab(tmp_path) as lab:
        lab.register("meter")
        lab.lose_submissions = not is_submitted
        lab.start()
        await store_run(lab.store, "meter", 4)
        await lab.until(lambda: lab.store.newest_batch("meter"))
        lab.lose_submissions = False
        await lab.restart()
        await store_run(lab.store, "meter", 2)
        await lab.until_anchored("meter", 6)

        assert sum(count for _, count in lab.anchors()) == 6
        assert [first for first, _ in lab.anchors()] == sorted(first for first, _ in lab.anchors())
        assert count_failed(lab) == 0
        assert lab.store.batches(SettlementStatus.FAILED) == [], "no nonce is used twice"


async def test_crashes_at_any_moment_neither_skip_nor_double(tmp_path):
    async with GatewayLab(tmp_path, count_max=3) as lab:
        lab.register("meter")
        lab.start()
        for round_number in range(12):
            await store_run(lab.store, "meter", 2)
            for _ in range(round_number * 3):
                await asyncio.sleep(0)  # the moment of the crash moves on
            await lab.restart()
        await lab.until_anchored("meter", 24)

        applied = lab.anchors()
        assert [first for first, _ in applied] == [
            1 + sum(count for _, count in applied[:n]) for n in range(len(applied))
        ], "the anchors follow each other without gap or overlap"
        assert sum(count for _, count in applied) == 24


async def test_a_failed_anchor_is_anchored_again_with_those_behind_it(tmp_path, caplog):
    """Another transaction changes the registered profile under the gateway's feet."""
    async with GatewayLab(tmp_path, count_max=2) as lab:
        device_id = lab.register("meter")
        await store_run(lab.store, "meter", 2)
        lab.start()
        await lab.until_anchored("meter", 2)
        await lab.until(lambda: not lab.store.pending_transactions())
        await lab.stop()
        nonce = lab.node.account(address_of("metering")).nonce
        elsewhere = sign_body(
            lab.chain.genesis, "metering", nonce, RegisterDevice(device_id, OTHER_PROFILE)
        )
        lab.lose_submissions = True
        lab.start()
        await store_run(lab.store, "meter", 6)
        await lab.until(lambda: len(lab.store.pending_transactions()) == 3)
        await lab.stop()
        # The gateway's first anchor has this very nonce: all three can never be final.
        assert isinstance(lab.node.submit(elsewhere), bytes)
        await lab.until(lambda: lab.node.account(address_of("metering")).nonce == nonce + 1)
        lab.lose_submissions = False
        await lab.restart()
        await lab.until_anchored("meter", 8)

        assert lab.anchors() == [(1, 2), (3, 2), (5, 2), (7, 2)]
        assert "another transaction used its nonce" in caplog.text
        failed = lab.store.batches(SettlementStatus.FAILED)
        assert [batch.first for batch in failed][:3] == [3, 5, 7]
        await lab.until(lambda: not lab.service.problem)


async def test_anchors_whose_blocks_the_ledger_does_not_keep_are_final_all_the_same(
    tmp_path, caplog
):
    """They became final while the gateway was away, and the ledger went on from a snapshot behind them."""
    async with GatewayLab(tmp_path, count_max=2) as lab:
        lab.register("meter")
        lab.lose_submissions = True
        lab.start()
        await store_run(lab.store, "meter", 4)
        await lab.until(lambda: len(lab.store.pending_transactions()) == 3)  # and a registration
        await lab.stop()
        lost = lab.store.pending_transactions()
        for entry in lost:
            assert isinstance(lab.node.submit(entry.raw), bytes)
        await lab.until(lambda: lab.node.account(address_of("metering")).nonce == len(lost))
        ids = {entry.transaction_id.hex() for entry in lost}
        ask = lab._handlers["transaction"]
        lab._handlers = {
            **lab._handlers,
            "transaction": lambda body: {"status": "unknown"} if body["id"] in ids else ask(body),
        }
        lab.lose_submissions = False
        await lab.restart()
        await store_run(lab.store, "meter", 2)
        await lab.until_anchored("meter", 6)

        assert lab.anchors() == [(1, 2), (3, 2), (5, 2)]
        assert lab.store.batches(SettlementStatus.FAILED) == []
        stored = {batch.first: batch for batch in lab.store.batches(SettlementStatus.FINAL)}
        assert [bool(stored[first].evidence) for first in (1, 3, 5)] == [False, False, True]
        assert caplog.text.count("is final, without receipts") == 2
        await lab.until(lambda: not lab.service.problem)


def count_failed(lab: GatewayLab) -> int:
    return sum(outcome.status is OutcomeStatus.FAILED for _, outcome in lab.final(Anchor))


async def test_a_restored_backup_is_named_and_holds_up_no_other_device(tmp_path, caplog):
    """Its readings start again with numbers that the chain has: two anchors fail in one block."""
    backup = tmp_path / "backup.db"
    async with GatewayLab(tmp_path, count_max=2) as lab:
        lab.register("meter")
        lab.store.close()
        shutil.copy(tmp_path / "readings.db", backup)
        await lab.restart()
        await store_run(lab.store, "meter", 4)
        await lab.until_anchored("meter", 4)
        await lab.stop()
        lab.store.close()
        shutil.copy(backup, tmp_path / "readings.db")
        lab.lose_submissions = True
        await lab.restart()
        await store_run(lab.store, "meter", 4)
        await lab.until(lambda: len(lab.store.pending_transactions()) == 2)
        lab.lose_submissions = False
        await lab.until(lambda: "out-of-sequence" in lab.service.problem)
        lab.register("other")
        await store_run(lab.store, "other", 2)
        await lab.until_anchored("other", 2)

        await lab.until(lambda: count_failed(lab) >= 3)  # it is tried once more at once
        await lab.until(lambda: not lab.store.pending_transactions())
        blocks = len(lab.blocks)
        while len(lab.blocks) < blocks + 3:  # one that was under way may be counted already
            await lab.pass_blocks(1)
        assert lab.store.pending_transactions() == [], "it is not tried in every block"
        assert "out-of-sequence" in lab.service.problem


async def test_an_expired_transaction_is_given_up_and_its_nonce_used_again(
    tmp_path, caplog, monkeypatch
):
    async with GatewayLab(tmp_path) as lab:
        lab.register("meter")
        monkeypatch.setattr("gateway.app.transactions.EXPIRY_HEIGHTS_MAX", 2)
        lab.lose_submissions = True
        await store_run(lab.store, "meter", 4)
        lab.start()
        await lab.until(lambda: len(lab.store.pending_transactions()) == 2)
        await lab.stop()
        monkeypatch.undo()
        await lab.pass_blocks(3)
        lab.lose_submissions = False
        await lab.restart()
        await lab.until_anchored("meter", 4)

        assert lab.anchors() == [(1, 4)]
        assert "expired after block" in caplog.text


async def test_a_ledger_that_refuses_is_named_once_and_seen_in_the_health(tmp_path, caplog):
    async with GatewayLab(tmp_path) as lab:
        lab.register("meter")
        lab.store.register_device("other", PROFILE)
        refuse = {"submit": _refuse, **{k: v for k, v in lab._handlers.items() if k != "submit"}}
        handlers, lab._handlers = lab._handlers, refuse
        await store_run(lab.store, "meter", 4)
        lab.start()
        await lab.until(lambda: "insufficient-funds" in lab.service.problem)
        requests = lab.requests.count("submit")
        await lab.until(lambda: lab.requests.count("submit") > requests + 1)
        assert caplog.text.count("insufficient-funds") <= 2, "once for each of two transactions"

        lab._handlers = handlers
        await lab.until_anchored("meter", 4)
        await lab.until(lambda: not lab.service.problem)


def _refuse(body):
    raise MessagingError("insufficient-funds: the fee payer holds 0 base units")


async def test_no_more_transactions_wait_than_the_ledger_takes_of_one_sender(tmp_path):
    async with GatewayLab(tmp_path, count_max=1) as lab:
        for number in range(5):
            lab.register(f"meter-{number}")
        lab.lose_submissions = True
        for number in range(5):
            await store_run(lab.store, f"meter-{number}", 20)
        lab.start()
        await lab.until(lambda: len(lab.store.pending_transactions()) >= PENDING_MAX - 1)
        seen = lab.requests.count("transaction")
        await lab.until(lambda: lab.requests.count("transaction") > seen + 2 * PENDING_MAX)
        assert len(lab.store.pending_transactions()) <= PENDING_MAX
        lab.lose_submissions = False
        for number in range(5):
            await lab.until_anchored(f"meter-{number}", 20)
        assert len(lab.anchors()) == 100
