"""Bound sessions get every final reading that they need, once, through pauses, crashes and limits."""

import asyncio

import pytest

from gateway.app import sessions, sessions as sessions_module
from gateway.app.anchoring import PENDING_MAX
from gateway.app.sessions import PROOFS_MAX
from ledger.types.outcome import OutcomeStatus
from ledger.types.transaction import CallContract
from tests.support.gateway_lab import GatewayLab


async def test_every_final_reading_is_recorded_once(tmp_path):
    async with GatewayLab(tmp_path) as lab:
        lab.register("meter")
        contract = await lab.deploy()
        lab.bind("meter", contract)
        lab.start()
        await lab.until(lambda: lab.contracts.queries)
        await lab.measure("meter", 5)
        await lab.until_recorded(contract, 5)
        await lab.measure("meter", 3)

        recorded = await lab.until_recorded(contract, 8)
        assert recorded == sorted(set(recorded))
        assert recorded[-4:] == [5, 6, 7, 8], "from the first one on none is left out"


async def test_a_new_session_starts_with_the_newest_anchored_reading(tmp_path):
    async with GatewayLab(tmp_path) as lab:
        lab.register("meter")
        contract = await lab.deploy()
        await lab.measure("meter", 6)
        lab.start()
        await lab.until_anchored("meter", 6)

        lab.bind("meter", contract)
        assert await lab.until_recorded(contract, 6) == [6]


async def test_readings_are_thinned_to_the_interval_and_the_last_of_a_batch_counts(tmp_path):
    async with GatewayLab(tmp_path, count_max=9, age_max_ms=60_000) as lab:
        lab.register("meter")
        contract = await lab.deploy()
        lab.bind("meter", contract, every_ms=3_000)
        lab.start()
        await lab.until(lambda: lab.contracts.queries)
        await lab.measure("meter", 9)

        assert await lab.until_recorded(contract, 9) == [1, 4, 7, 9]


@pytest.mark.parametrize("crash_after", [0, 1, 3, 10, 40])
async def test_a_crash_in_the_middle_neither_skips_nor_doubles(tmp_path, crash_after):
    async with GatewayLab(tmp_path, count_max=2) as lab:
        lab.register("meter")
        contract = await lab.deploy()
        lab.bind("meter", contract)
        lab.start()
        await lab.until(lambda: lab.contracts.queries)
        await lab.measure("meter", 2)
        await lab.until_recorded(contract, 2)
        for _ in range(4):
            await lab.measure("meter", 3)
            for _ in range(crash_after):
                await asyncio.sleep(0.001)  # the moment of the crash differs
            await lab.restart()

        recorded = await lab.until_recorded(contract, 14)
        assert recorded[recorded.index(2) :] == list(range(2, 15))


async def test_a_paused_session_waits_and_goes_on_when_it_is_resumed(tmp_path, monkeypatch):
    monkeypatch.setattr(sessions, "ASK_AGAIN_NS", 50_000_000)
    async with GatewayLab(tmp_path) as lab:
        lab.register("meter")
        contract = await lab.deploy()
        lab.bind("meter", contract)
        lab.start()
        await lab.until(lambda: lab.contracts.queries)
        await lab.measure("meter", 2)
        await lab.until_recorded(contract, 2)
        await lab.set_state(contract, "paused")
        await lab.measure("meter", 2)
        await lab.until(lambda: count_records(lab, OutcomeStatus.FAILED) > 0)
        await lab.until(lambda: lab.store.pending_count() == 0)  # two batches may make two calls
        failed, queries = count_records(lab, OutcomeStatus.FAILED), lab.contracts.queries
        await lab.measure("meter", 2)
        await lab.until(lambda: lab.contracts.queries > queries + 1)
        await lab.until_anchored("meter", 6)
        assert 3 not in await lab.recorded(contract)
        now_failed = count_records(lab, OutcomeStatus.FAILED)
        assert now_failed == failed, "a paused session is asked, not fed"

        await lab.set_state(contract, "open")
        assert (await lab.until_recorded(contract, 6))[-4:] == [3, 4, 5, 6]


async def test_a_settled_session_is_fed_no_more(tmp_path, monkeypatch):
    monkeypatch.setattr(sessions, "ASK_AGAIN_NS", 50_000_000)
    async with GatewayLab(tmp_path) as lab:
        lab.register("meter")
        contract = await lab.deploy()
        lab.bind("meter", contract)
        await lab.set_state(contract, "settled")
        lab.start()
        await lab.measure("meter", 2)
        await lab.until_anchored("meter", 2)
        queries = lab.contracts.queries
        await lab.until(lambda: lab.contracts.queries > queries + 2)

        assert lab.final(CallContract) == []
        assert await lab.recorded(contract) == []
        await lab.until(lambda: not lab.service.problem)


async def test_no_more_calls_wait_than_the_ledger_takes_and_none_is_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(sessions, "PROOFS_MAX", 1)
    async with GatewayLab(tmp_path, count_max=100) as lab:
        lab.register("meter")
        contract = await lab.deploy()
        lab.bind("meter", contract)
        lab.start()
        await lab.until(lambda: lab.contracts.queries)
        await lab.measure("meter", 1)
        await lab.until_recorded(contract, 1)
        await lab.until(lambda: not lab.store.pending_transactions())
        most = 0

        def is_done() -> bool:
            nonlocal most
            most = max(most, len(lab.store.pending_transactions()))
            return count_records(lab, OutcomeStatus.APPLIED) == 101

        await lab.measure("meter", 100)
        await lab.until(is_done)
        assert most <= PENDING_MAX
        assert await lab.recorded(contract) == list(range(1, 102))


def count_records(lab: GatewayLab, status: OutcomeStatus) -> int:
    return sum(outcome.status is status for _, outcome in lab.final(CallContract))


async def test_many_readings_are_split_into_calls_that_fit(tmp_path):
    async with GatewayLab(tmp_path, count_max=PROOFS_MAX * 2 + 1, age_max_ms=600_000) as lab:
        lab.register("meter")
        contract = await lab.deploy()
        lab.bind("meter", contract)
        lab.start()
        await lab.until(lambda: lab.contracts.queries)
        await lab.measure("meter", PROOFS_MAX * 2 + 1)
        await lab.until_recorded(contract, PROOFS_MAX * 2 + 1)

        assert await lab.recorded(contract) == list(range(1, PROOFS_MAX * 2 + 2))
        assert count_records(lab, OutcomeStatus.APPLIED) == 3


async def test_a_contract_that_cannot_answer_holds_up_nobody_else(tmp_path):
    async with GatewayLab(tmp_path) as lab:
        lab.register("meter")
        broken, sound = await lab.deploy(), await lab.deploy()
        lab.contracts.broken = broken
        lab.bind("meter", broken)
        lab.bind("meter", sound)
        lab.start()
        await lab.measure("meter", 3)

        await lab.until_recorded(sound, 3)
        await lab.until_anchored("meter", 3)


@pytest.mark.parametrize(
    "answer",
    [
        {"state": "open", "sequence": 2**63 - 1},
        {"state": "open", "sequence": -1},
        {"state": "open", "sequence": "many", "time_ms": None},
        {"state": 5},
        {},
    ],
)
async def test_what_a_contract_says_cannot_harm_the_gateway(tmp_path, answer):
    async with GatewayLab(tmp_path) as lab:
        lab.register("meter")
        contract = await lab.deploy()
        lab.contracts.answer = answer
        lab.bind("meter", contract)
        lab.start()
        await lab.until(lambda: lab.contracts.queries)
        await lab.measure("meter", 3)
        await lab.until_anchored("meter", 3)
        await lab.measure("meter", 3)
        await lab.until_anchored("meter", 6)


async def test_a_session_that_is_bound_no_more_is_not_fed(tmp_path):
    async with GatewayLab(tmp_path) as lab:
        lab.register("meter")
        contract = await lab.deploy()
        lab.bind("meter", contract)
        lab.start()
        await lab.until(lambda: lab.contracts.queries)
        await lab.measure("meter", 1)
        await lab.until_recorded(contract, 1)

        lab.recorder.bind([])
        await lab.until(lambda: not lab.store.pending_transactions())
        await lab.measure("meter", 2)
        await lab.until_anchored("meter", 3)
        await lab.pass_blocks(2)
        assert await lab.recorded(contract) == [1]


class Listener:
    """A witness that writes down what it hears."""

    def __init__(self) -> None:
        self.recorded_: list[int] = []
        self.ended_: list[int | None] = []

    async def recorded(self, device, binding, readings) -> None:
        assert (device, binding.session) == ("meter", "s")
        self.recorded_ += [one.sequence for one in readings]

    async def ended(self, device, binding, last) -> None:
        self.ended_.append(None if last is None else last.sequence)


async def test_a_witness_hears_what_was_recorded_and_that_the_session_ended(tmp_path):
    async with GatewayLab(tmp_path) as lab:
        lab.register("meter")
        lab.witness = listener = Listener()
        contract = await lab.deploy()
        lab.bind("meter", contract)
        lab.start()
        await lab.measure("meter", 3)
        recorded = await lab.until_recorded(contract, 3)
        await lab.until(lambda: listener.recorded_ == recorded)
        assert listener.ended_ == []

        await lab.set_state(contract, "settled")
        await lab.restart()
        await lab.until(lambda: listener.ended_)
        assert listener.ended_[0] == 3


async def test_a_session_that_is_settled_while_its_device_is_silent_ends_too(tmp_path, monkeypatch):
    monkeypatch.setattr(sessions_module, "ASK_AGAIN_NS", 1_000_000)
    monkeypatch.setattr(sessions_module, "LOOK_AGAIN_NS", 1_000_000)
    async with GatewayLab(tmp_path) as lab:
        lab.register("meter")
        lab.witness = listener = Listener()
        contract = await lab.deploy()
        lab.bind("meter", contract)
        lab.start()
        await lab.measure("meter", 2)
        await lab.until_recorded(contract, 2)
        await lab.set_state(contract, "settled")
        await lab.until(lambda: listener.ended_)
        assert listener.ended_[0] == 2
