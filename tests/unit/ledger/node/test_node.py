"""A node alone in its set: what is submitted becomes final, and everything about it can be asked."""

import asyncio
import logging
import sqlite3
import threading
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import msgspec
import pytest

from ledger.codec.canonical import Decoder, encode
from ledger.consensus.state import Rules
from ledger.crypto.domains import VoteKind, contract_address
from ledger.errors import (
    CorruptStorageError,
    ExecutorError,
    Reason,
    Rejected,
    SignerError,
    StorageError,
)
from ledger.node.execution import SerialExecutor
from ledger.node.views import FinalBlock, Progress
from ledger.params import BLOCK_BYTES_MAX, CONTRACT_CALL_GAS_MAX, TRANSACTION_FEE_MIN
from ledger.ports import ContractCall, ContractCode, ContractHost, ExecutionResult, ExecutionStatus
from ledger.state.keys import account_key
from ledger.storage.reader import ChainReader
from ledger.types.outcome import OutcomeStatus
from ledger.types.records import Account
from ledger.types.transaction import CallContract, DeployContract, Transfer
from tests.support.ledger_lab import (
    DEVICE,
    FEE,
    PROFILE,
    EchoExecutor,
    Lab,
    ReadingBatch,
    address_of,
    finalise,
    make_device_registration,
    make_genesis,
    make_transfer,
    run_blocks,
    run_until,
    seed_of,
    sign_body,
)
from tests.support.signer import GuardedSigner, GuardRecord

CONTRACT_FEE = 100_000


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def accepted(answer: bytes | Rejected) -> bytes:
    assert isinstance(answer, bytes), answer
    return answer


async def test_a_transfer_becomes_final(lab: Lab):
    node = lab.open()
    raw = lab.transfer("alice", 0, to="carol", amount=500)
    assert node.account(address_of("carol")).balance == 0

    transfer = accepted(node.submit(raw))
    assert node.transaction(transfer).progress is Progress.PENDING
    assert node.account(address_of("alice")).pending_nonce == 1
    (block,) = await finalise(node, raw)

    assert node.account(address_of("carol")).balance == 500
    alice = node.account(address_of("alice"))
    assert (alice.balance, alice.nonce, alice.pending_nonce) == (10**12 - 500 - FEE, 1, 1)
    found = node.transaction(transfer)
    assert (found.progress, found.height) == (Progress.FINAL, 1)
    assert found.outcome is not None
    assert found.outcome.status is OutcomeStatus.APPLIED
    assert node.status().hash == block.hash
    node.close()


async def test_the_header_commits_to_its_parent_and_its_place(lab: Lab):
    node = lab.open()
    (first,) = await finalise(node, lab.transfer("alice", 0))
    (second,) = await finalise(node, lab.transfer("alice", 1))
    assert (first.header.height, first.header.slot, first.header.parent_slot) == (1, 1, 0)
    assert first.header.parent_hash == node.status().chain_id
    assert first.header.parent_signers == bytes(13)
    assert (second.header.height, second.header.slot, second.header.parent_slot) == (2, 2, 1)
    assert second.header.parent_hash == first.hash
    assert second.header.parent_signers == b"\x01" + bytes(12)
    assert second.header.time_ms >= first.header.time_ms + lab.genesis.slot_ms
    node.close()


async def test_blocks_can_be_asked_for(lab: Lab):
    node = lab.open()
    raws = [lab.transfer("alice", nonce) for nonce in range(3)]
    (block,) = await finalise(node, *raws)
    view = node.block(1)
    assert view is not None
    assert (view.hash, view.header) == (block.hash, block.header)
    assert view.certificate.kind is VoteKind.FINALIZE
    assert view.transaction_ids == tuple(checked.id for checked in block.transactions)
    assert {node.transaction(id_).height for id_ in view.transaction_ids} == {1}
    assert node.block(2) is None
    assert node.block(0) is None
    node.close()


async def test_the_status_says_how_the_chain_is_doing(lab: Lab):
    node = lab.open()
    before = node.status()
    assert (before.height, before.slot, before.state) == (0, 1, "waiting")
    assert (before.hash, before.time_ms) == (before.chain_id, lab.genesis.time_ms)
    node.submit(lab.transfer("alice", 0))
    assert node.status().pending == 1
    await run_blocks(node, 1)
    after = node.status()
    assert (after.height, after.slot, after.pending, after.agents) == (1, 2, 0, 1)
    assert after.clock == "synchronised"
    node.close()


async def test_without_a_trusted_clock_the_chain_goes_on_and_says_so(lab: Lab):
    lab.clock.synchronised = False
    node = lab.open()
    await finalise(node, lab.transfer("alice", 0))
    assert node.status().clock == "unsynchronised"
    node.close()


async def test_what_was_submitted_before_gives_its_id_again(lab: Lab):
    node = lab.open()
    raw = lab.transfer("alice", 0)
    pending = node.submit(raw)
    assert node.submit(raw) == pending
    assert node.status().pending == 1
    await run_blocks(node, 1)
    assert node.submit(raw) == pending
    assert node.status().pending == 0
    node.close()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("garbage", Reason.MALFORMED),
        ("other chain", Reason.WRONG_CHAIN),
        ("forged", Reason.BAD_SIGNATURE),
        ("nonce from the past", Reason.BAD_NONCE),
        ("low fee", Reason.FEE_TOO_LOW),
        ("poor", Reason.INSUFFICIENT_FUNDS),
    ],
)
async def test_what_cannot_stand_in_a_block_is_refused(lab: Lab, name: str, reason: Reason):
    node = lab.open()
    await finalise(node, lab.transfer("alice", 0))
    good = lab.transfer("alice", 1)
    transfer = Transfer(address_of("bob"), 1)
    raws = {
        "garbage": b"garbage",
        "other chain": make_transfer(make_genesis(name="other"), "alice", 1, "bob", 1),
        "forged": good[:-2] + bytes([good[-2] ^ 1]) + good[-1:],
        "nonce from the past": lab.transfer("alice", 0, amount=8),
        "low fee": sign_body(lab.genesis, "alice", 1, transfer, fee=TRANSACTION_FEE_MIN),
        "poor": lab.transfer("nobody", 0),
    }
    refusal = node.submit(raws[name])
    assert isinstance(refusal, Rejected)
    assert refusal.reason is reason
    assert node.status().pending == 0
    node.close()


async def test_a_failed_transaction_is_final_with_its_reason(lab: Lab):
    node = lab.open()
    # Only a registered node's metering key may register a device.
    raw = lab.sign("bob", 0, make_device_registration())
    await finalise(node, raw)
    found = node.transaction(accepted(node.submit(raw)))
    assert found.outcome is not None
    assert found.outcome.status is OutcomeStatus.FAILED
    assert found.outcome.reason.startswith("not-owner")
    assert node.account(address_of("bob")).nonce == 1
    node.close()


async def test_a_device_can_be_asked_for(lab: Lab):
    node = lab.open()
    assert node.device(DEVICE) is None
    await finalise(node, lab.sign("metering", 0, make_device_registration()))
    anchor = lab.sign("metering", 1, ReadingBatch(first=1, count=3).make_anchor())
    await finalise(node, anchor)
    device = node.device(DEVICE)
    assert device is not None
    assert (device.profile_hash, device.next_sequence) == (PROFILE, 4)
    assert device.last_anchor == node.submit(anchor)
    node.close()


async def test_there_is_evidence_of_what_is_final_only(lab: Lab):
    node = lab.open()
    transfer = accepted(node.submit(lab.transfer("alice", 0)))
    assert node.anchor_evidence(transfer) is None
    await run_blocks(node, 1)
    evidence = node.anchor_evidence(transfer)
    assert evidence is not None
    assert (evidence.position, evidence.count) == (0, 1)
    assert Decoder(type(evidence)).decode(encode(evidence)) == evidence
    node.close()


async def test_a_block_holds_no_more_than_its_bytes(lab: Lab):
    node = lab.open()
    large = DeployContract("x" * 60_000, "", encode(None), 0)
    raws = [sign_body(lab.genesis, "alice", nonce, large, fee=CONTRACT_FEE) for nonce in range(6)]
    blocks = await finalise(node, *raws)
    assert len(blocks) == 2
    for block in blocks:
        assert sum(checked.size for checked in block.transactions) <= BLOCK_BYTES_MAX
    node.close()


async def test_without_work_the_chain_stays_still(lab: Lab):
    node = lab.open()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await run_blocks(node, 1)
    # Nor does a transaction behind a gap of nonces make empty blocks.
    accepted(node.submit(lab.transfer("alice", 5)))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await run_blocks(node, 1)
    assert node.status().height == 0
    node.close()


async def test_a_heartbeat_keeps_the_chain_alive_without_work(tmp_path: Path):
    genesis = msgspec.structs.replace(make_genesis(slot_ms=100), heartbeat_ms=100)
    lab = Lab(tmp_path, genesis)
    node = lab.open()
    blocks = await run_blocks(node, 3)
    assert [len(block.transactions) for block in blocks[:3]] == [0, 0, 0]
    node.close()


async def test_a_transaction_wakes_a_waiting_chain(lab: Lab):
    node = lab.open()
    running = asyncio.Event()

    async def submit_later() -> None:
        await running.wait()
        accepted(node.submit(lab.transfer("alice", 0)))

    async with asyncio.TaskGroup() as group:
        group.create_task(submit_later())
        asyncio.get_running_loop().call_later(0.05, running.set)
        await run_until(node, lambda blocks: len(blocks) == 1)
    node.close()


async def test_many_blocks_and_a_restart_give_the_same_chain(lab: Lab):
    node = lab.open()
    for nonce in range(25):
        await finalise(node, lab.transfer("alice", nonce), lab.transfer("bob", nonce))
    before = node.status()
    node.close()

    node = lab.open()
    after = node.status()
    assert after.height >= 25
    assert (after.height, after.hash, after.slot) == (before.height, before.hash, before.slot)
    (block,) = await finalise(node, lab.transfer("alice", 25))
    assert block.header.parent_hash == before.hash
    node.close()


async def test_two_nodes_with_the_same_transactions_have_the_same_state(tmp_path: Path):
    roots = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        lab = Lab(tmp_path / name)
        node = lab.open()
        blocks = [await finalise(node, lab.transfer("alice", nonce)) for nonce in range(5)]
        roots.append([block.header.state_root for (block,) in blocks])
        node.close()
    assert roots[0] == roots[1]


async def test_readers_follow_from_another_connection(lab: Lab):
    node = lab.open()
    reader = ChainReader.open(lab.path)
    await finalise(node, lab.transfer("alice", 0))
    tip = reader.tip()
    assert tip is not None
    assert tip.hash == node.status().hash
    reader.close()
    node.close()


class TestOpening:
    def test_a_second_node_on_the_same_chain_is_refused(self, lab: Lab):
        node = lab.open()
        with pytest.raises(StorageError, match="another process writes this chain"):
            lab.open()
        node.close()

    def test_another_agents_genesis_is_refused(self, tmp_path: Path):
        lab = Lab(tmp_path, make_genesis(agent="other-"))
        with pytest.raises(SignerError, match="not the one in the genesis file"):
            lab.open()

    async def test_a_damaged_state_is_refused_and_the_lock_let_go(self, lab: Lab):
        node = lab.open()
        await finalise(node, lab.transfer("alice", 0))
        node.close()
        connection = sqlite3.connect(lab.path)
        key = account_key(address_of("alice"))
        connection.execute("UPDATE state SET value = ? WHERE key = ?", (encode(Account(1, 1)), key))
        connection.commit()
        connection.close()
        for _ in range(2):
            with pytest.raises(CorruptStorageError, match="root that block 1 commits to"):
                lab.open()


class TestSigner:
    async def test_a_signer_that_was_away_is_waited_for(
        self, lab: Lab, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr("ledger.node.node.Rules", partial(Rules, retry_ms=20))
        caplog.set_level(logging.INFO)
        node = lab.open()
        lab.signer.is_reachable = False
        asyncio.get_running_loop().call_later(0.1, setattr, lab.signer, "is_reachable", True)
        await finalise(node, lab.transfer("alice", 0))
        lines = [record.message for record in caplog.records]
        assert lines == [
            "waiting for the SmartAgent: the SmartAgent does not answer",
            "the SmartAgent signs again",
        ]
        node.close()

    async def test_a_signature_by_another_key_stops_the_node(self, lab: Lab):
        class Impostor(GuardedSigner):
            @property
            def public_key(self) -> bytes:
                return address_of("consensus")

        impostor = Impostor(seed_of("alice"), lab.signer._chain_id, GuardRecord())
        node = lab.open(signer=impostor)
        with pytest.raises(SignerError, match="vote is not valid on this chain"):
            await finalise(node, lab.transfer("alice", 0))
        assert node.status().height == 0
        node.close()

    async def test_a_database_behind_the_agents_record_stops_the_node(self, lab: Lab):
        node = lab.open()
        await finalise(node, lab.transfer("alice", 0))
        node.close()
        old = lab.path.read_bytes()
        node = lab.open()
        for nonce in (1, 2):
            await finalise(node, lab.transfer("alice", nonce))
        node.close()

        lab.path.write_bytes(old)
        node = lab.open()
        with pytest.raises(SignerError, match="put the newest chain database back"):
            await finalise(node, lab.transfer("alice", 1, amount=99))
        assert lab.record.find_double_votes() == []
        node.close()


class TestContracts:
    class CrashingExecutor:
        """Fails for one method, as a worker that is killed does."""

        def check(self, code: ContractCode) -> str | None:
            return None

        def execute(self, call: ContractCall, host: ContractHost) -> ExecutionResult:
            if call.method == "crash":
                raise ExecutorError("the contract worker was killed")
            return ExecutionResult(ExecutionStatus.OK, gas_used=100, result=call.args)

    @staticmethod
    async def deploy(lab: Lab, node) -> bytes:
        code = DeployContract("-- lua", "", encode(None), 1_000)
        raw = sign_body(lab.genesis, "alice", 0, code, fee=CONTRACT_FEE)
        await finalise(node, raw)
        found = node.transaction(accepted(node.submit(raw)))
        assert found.outcome is not None
        assert found.outcome.status is OutcomeStatus.APPLIED, found.outcome.reason
        return contract_address(address_of("alice"), 0)

    async def test_a_transaction_whose_worker_fails_is_left_out(
        self, lab: Lab, caplog: pytest.LogCaptureFixture
    ):
        node = lab.open(executor=self.CrashingExecutor())
        contract = await self.deploy(lab, node)

        def call(sender: str, nonce: int, method: str) -> bytes:
            body = CallContract(contract, method, encode(None), 0, 1_000)
            return sign_body(lab.genesis, sender, nonce, body, fee=CONTRACT_FEE)

        crash = accepted(node.submit(call("alice", 1, "crash")))
        await finalise(node, call("bob", 0, "fine"), lab.transfer("metering", 0))
        assert node.transaction(crash).progress is Progress.UNKNOWN
        (record,) = caplog.records
        assert "dropped, not run: the contract worker was killed" in record.message
        assert crash.hex() in record.message
        node.close()

    async def test_a_query_asks_a_contract_from_another_thread(self, lab: Lab):
        node = lab.open()
        contract = await self.deploy(lab, node)
        answer = await asyncio.to_thread(node.query, contract, "total", encode([1]))
        assert isinstance(answer, ExecutionResult)
        assert answer.result == encode([1])
        unknown = await asyncio.to_thread(node.query, bytes(32), "total", encode([1]))
        assert isinstance(unknown, Rejected)
        assert unknown.reason is Reason.UNKNOWN_CONTRACT
        node.close()

    async def test_who_sends_the_same_poison_again_and_again_stops_nobody(self, lab: Lab):
        node = lab.open(executor=self.CrashingExecutor())
        contract = await self.deploy(lab, node)
        crash = CallContract(contract, "crash", encode(None), 0, 1_000)
        poison = sign_body(lab.genesis, "alice", 1, crash, fee=CONTRACT_FEE)
        refusals = []

        def send_again(blocks: list[FinalBlock]) -> bool:
            refusals.append(node.submit(poison))
            return node.account(address_of("bob")).nonce == 3

        accepted(node.submit(poison))
        for nonce in range(3):
            accepted(node.submit(lab.transfer("bob", nonce)))
        await run_until(node, send_again)
        for refusal in refusals:
            assert isinstance(refusal, Rejected)
            assert refusal.reason is Reason.NOT_RUN
            assert "the contract worker was killed" in refusal.detail
        node.close()

    async def test_an_executor_with_a_bug_does_not_end_the_node(self, lab: Lab):
        class Stumbling(EchoExecutor):
            def check(self, code: ContractCode) -> str | None:
                raise ValueError("Exceeds the limit (4300 digits)\nfor integer string conversion")

        node = lab.open(executor=Stumbling())
        code = DeployContract("-- lua", "", encode(None), 1_000)
        poison = accepted(node.submit(sign_body(lab.genesis, "alice", 0, code, fee=CONTRACT_FEE)))
        await finalise(node, lab.transfer("bob", 0))
        assert node.transaction(poison).progress is Progress.UNKNOWN
        node.close()

    async def test_one_query_at_a_time_and_no_snapshot_while_it_waits(
        self, lab: Lab, monkeypatch: pytest.MonkeyPatch
    ):
        entered, go_on = threading.Event(), threading.Event()
        opened: list[Path] = []

        class Slow(EchoExecutor):
            def execute(self, call: ContractCall, host: ContractHost) -> ExecutionResult:
                if call.method == "slow":
                    entered.set()
                    assert go_on.wait(10)
                return super().execute(call, host)

        is_asked = threading.Event()
        hold = SerialExecutor.held

        def hold_and_tell(executor: SerialExecutor) -> AbstractContextManager[None]:
            is_asked.set()
            return hold(executor)

        monkeypatch.setattr(SerialExecutor, "held", hold_and_tell)
        open_reader = ChainReader.open
        node = lab.open(executor=Slow())
        contract = await self.deploy(lab, node)

        def open_and_tell(path: Path) -> ChainReader:
            opened.append(path)
            return open_reader(path)

        monkeypatch.setattr(ChainReader, "open", open_and_tell)
        body = CallContract(contract, "slow", encode(None), 0, 1_000)
        slow = sign_body(lab.genesis, "alice", 1, body, fee=CONTRACT_FEE)
        async with asyncio.TaskGroup() as group:
            block = group.create_task(finalise(node, slow))
            assert await asyncio.to_thread(entered.wait, 10)
            first = group.create_task(asyncio.to_thread(node.query, contract, "a", encode(1)))
            assert await asyncio.to_thread(is_asked.wait, 10)
            second = await asyncio.to_thread(node.query, contract, "b", encode(2))
            assert isinstance(second, Rejected)
            assert second.reason is Reason.BUSY
            assert opened == []
            go_on.set()
            await block
            answer = await first
        assert isinstance(answer, ExecutionResult)
        assert len(opened) == 1
        node.close()

    async def test_queries_may_have_an_executor_of_their_own(self, lab: Lab):
        asked = EchoExecutor()
        node = lab.open(query_executor=asked)
        contract = await self.deploy(lab, node)
        runs = lab.executor.calls
        answer = await asyncio.to_thread(node.query, contract, "total", encode([1]))
        assert isinstance(answer, ExecutionResult)
        assert (asked.calls, lab.executor.calls) == (1, runs)
        assert asked.gas_limits == [CONTRACT_CALL_GAS_MAX]
        node.close()
