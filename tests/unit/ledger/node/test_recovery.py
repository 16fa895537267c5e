"""A crash at every boundary between two effects: the chain goes on, and no vote contradicts another.

A crash is an exception out of the store or the signer, before or after it did its work; then only the
database and the sign guard's record are left.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ledger.codec.canonical import encode
from ledger.crypto.domains import VoteKind
from ledger.errors import ExecutorError
from ledger.node.chain import Chain
from ledger.node.node import LedgerNode
from ledger.node.views import FinalBlock, Progress
from ledger.ports import ContractCall, ContractHost, ExecutionResult
from ledger.storage.store import ChainStore
from ledger.types.transaction import DeployContract
from tests.support.ledger_lab import (
    EchoExecutor,
    Lab,
    address_of,
    finalise,
    run_blocks,
    sign_body,
)
from tests.support.signer import GuardedSigner


class Crash(BaseException):
    """The process is gone: nothing may catch this."""


def crash_around(function: Callable[..., Any], *, after: bool) -> Callable[..., Any]:
    def crashing(*args: Any, **kwargs: Any) -> Any:
        if after:
            function(*args, **kwargs)
        raise Crash

    return crashing


class CrashingSigner(GuardedSigner):
    """Crashes at one kind of vote, before or after the guard's record."""

    def __init__(self, signer: GuardedSigner, kind: VoteKind, *, after: bool) -> None:
        super().__init__(signer._seed, signer._chain_id, signer.record)
        self._kind = kind
        self._after = after

    def sign_vote(self, kind: VoteKind, epoch: int, slot: int, block_hash: bytes) -> bytes:
        if kind is not self._kind:
            return super().sign_vote(kind, epoch, slot, block_hash)
        if self._after:
            super().sign_vote(kind, epoch, slot, block_hash)
        raise Crash


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


async def start_chain(lab: Lab) -> None:
    """Two blocks, so that a crash is not at the genesis."""
    node = lab.open()
    for nonce in range(2):
        await finalise(node, lab.transfer("alice", nonce))
    node.close()


async def crash(node: LedgerNode, *raws: bytes) -> None:
    with pytest.raises(Crash):
        await finalise(node, *raws)
    node.close()


async def go_on(lab: Lab, raw: bytes) -> list[FinalBlock]:
    """Reopen, submit again what may have been lost, and check that all is well."""
    node = lab.open()
    again = node.submit(raw)
    assert isinstance(again, bytes)
    if node.transaction(again).progress is not Progress.FINAL:
        await run_blocks(node, 1)
    blocks = await finalise(node, lab.transfer("bob", 0))
    assert node.transaction(again).progress is Progress.FINAL
    assert node.account(address_of("carol")).balance == 4 * 7  # each transfer exactly once
    assert lab.record.find_double_votes() == []
    parent = node.status().chain_id
    for height in range(1, node.status().height + 1):
        block = node.block(height)
        assert block is not None
        assert block.header.parent_hash == parent
        parent = block.hash
    node.close()
    return blocks


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("effect", ["write_ahead_block", "write_ahead_certificate", "commit_block"])
async def test_a_crash_around_a_write(
    lab: Lab, effect: str, after: bool, monkeypatch: pytest.MonkeyPatch
):
    await start_chain(lab)
    raw = lab.transfer("alice", 2)
    with monkeypatch.context() as patched:
        patched.setattr(ChainStore, effect, crash_around(getattr(ChainStore, effect), after=after))
        await crash(lab.open(), raw)
    await go_on(lab, raw)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("kind", [VoteKind.NOTARIZE, VoteKind.FINALIZE])
async def test_a_crash_around_a_signature(lab: Lab, kind: VoteKind, after: bool):
    await start_chain(lab)
    raw = lab.transfer("alice", 2)
    await crash(lab.open(signer=CrashingSigner(lab.signer, kind, after=after)), raw)
    await go_on(lab, raw)


async def test_a_crash_while_building(lab: Lab, monkeypatch: pytest.MonkeyPatch):
    await start_chain(lab)
    raw = lab.transfer("alice", 2)
    with monkeypatch.context() as patched:
        patched.setattr(Chain, "build", crash_around(Chain.build, after=True))
        await crash(lab.open(), raw)
    await go_on(lab, raw)


async def test_crashes_one_after_the_other_in_the_same_slot(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
):
    await start_chain(lab)
    raw = lab.transfer("alice", 2)
    await crash(lab.open(signer=CrashingSigner(lab.signer, VoteKind.NOTARIZE, after=True)), raw)
    for kind in (VoteKind.NOTARIZE, VoteKind.FINALIZE, VoteKind.FINALIZE):
        node = lab.open(signer=CrashingSigner(lab.signer, kind, after=True))
        with pytest.raises(Crash):
            await run_blocks(node, 1)
        node.close()
    await go_on(lab, raw)


async def test_the_block_that_was_voted_for_is_the_one_that_becomes_final(lab: Lab):
    await start_chain(lab)
    raw = lab.transfer("alice", 2)
    await crash(lab.open(signer=CrashingSigner(lab.signer, VoteKind.FINALIZE, after=False)), raw)
    voted = lab.record.notarized
    node = lab.open()
    # Other transactions wait by now, yet the slot's block is the one in the log.
    node.submit(lab.transfer("bob", 0))
    blocks = await run_blocks(node, 1)
    assert blocks[0].hash == voted
    assert len(blocks[0].transactions) == 1
    node.close()


async def test_a_lost_log_skips_the_slot_and_goes_on(lab: Lab):
    await start_chain(lab)
    before = lab.path.read_bytes()
    raw = lab.transfer("alice", 2)
    await crash(lab.open(signer=CrashingSigner(lab.signer, VoteKind.NOTARIZE, after=True)), raw)
    voted = lab.record.notarized
    lab.path.write_bytes(before)

    node = lab.open()
    (block,) = await finalise(node, lab.transfer("alice", 2, amount=8))
    assert block.hash != voted
    assert (block.header.slot, block.header.parent_slot) == (4, 2)
    assert lab.record.find_double_votes() == []
    node.close()
    node = lab.open()
    assert node.status().hash == block.hash
    node.close()


async def test_a_crash_after_the_slot_was_skipped_keeps_it_skipped(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
):
    await start_chain(lab)
    before = lab.path.read_bytes()
    raw = lab.transfer("alice", 2)
    await crash(lab.open(signer=CrashingSigner(lab.signer, VoteKind.NOTARIZE, after=True)), raw)
    lab.path.write_bytes(before)
    for after in (False, True):
        node = lab.open(signer=CrashingSigner(lab.signer, VoteKind.NULLIFY, after=after))
        await crash(node, raw)
    with monkeypatch.context() as patched:
        name = "write_ahead_certificate"
        patched.setattr(ChainStore, name, crash_around(getattr(ChainStore, name), after=True))
        await crash(lab.open(), raw)
    await go_on(lab, raw)


class TiredExecutor(EchoExecutor):
    """A contract worker that fails a number of times before it works."""

    failures_left = 0

    def execute(self, call: ContractCall, host: ContractHost) -> ExecutionResult:
        if self.failures_left:
            self.failures_left -= 1
            raise ExecutorError("the contract worker does not start")
        return super().execute(call, host)


@pytest.mark.parametrize("kind", [VoteKind.NOTARIZE, VoteKind.FINALIZE])
async def test_a_voted_block_is_executed_again_until_the_worker_can(
    lab: Lab, kind: VoteKind, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr("ledger.node.validating.RETRY_FIRST_S", 0.01)
    executor = TiredExecutor()
    code = sign_body(
        lab.genesis, "alice", 0, DeployContract("-- lua", "", encode(None), 1_000), fee=100_000
    )
    await crash(
        lab.open(signer=CrashingSigner(lab.signer, kind, after=True), executor=executor), code
    )
    voted = lab.record.notarized
    executor.failures_left = 3
    node = lab.open(executor=executor)
    (block,) = await run_blocks(node, 1)
    assert (block.header.height, block.header.slot, block.hash) == (1, 1, voted)
    assert len(caplog.records) == 3
    assert "cannot be executed yet" in caplog.records[0].message
    assert lab.record.find_double_votes() == []
    node.close()


async def test_state_after_recovery_is_the_state_without_a_crash(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    await start_chain(lab)
    raw = lab.transfer("alice", 2)
    with monkeypatch.context() as patched:
        patched.setattr(
            ChainStore, "commit_block", crash_around(ChainStore.commit_block, after=False)
        )
        await crash(lab.open(), raw)
    node = lab.open()
    crashed = (await run_blocks(node, 1))[0]
    node.close()

    (tmp_path / "smooth").mkdir()
    smooth = Lab(tmp_path / "smooth")
    await start_chain(smooth)
    node = smooth.open()
    (block,) = await finalise(node, raw)
    assert block.header.state_root == crashed.header.state_root
    node.close()
