"""Signed transfers per second into a durable chain, beside libsodium's bare verification rate.

    python -m tests.benchmarks.bench_chain [BLOCKS]

Each block of 1,000 transfers is decoded, checked (form and signature), executed, committed to by the state
root and written with one SQLite commit at synchronous=FULL. Four measures take turns, block by block, so
that a busy machine slows them alike: libsodium on one and on two threads, ours on one thread, and ours
with a verifier process that checks the next block while this one is executed. What runs on one thread is
also compared in processor time, which neighbours disturb less.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import msgspec

from ledger.codec.canonical import Decoder
from ledger.consensus.blocks import NO_SIGNERS
from ledger.consensus.certificate import build_certificate
from ledger.consensus.effects import BuildBlock
from ledger.crypto.domains import VoteKind, transaction_message
from ledger.errors import Rejected
from ledger.node.chain import Chain
from ledger.node.checking import Checking, TransactionChecker
from ledger.state.transition import CheckedTransaction, check_transaction, genesis_writes
from ledger.storage.store import ChainStore
from ledger.storage.verification import load_state_tree
from ledger.types.block import FinalityProof, Vote
from ledger.types.genesis import Allocation, Genesis
from ledger.types.genesis_file import genesis_chain_id
from ledger.types.transaction import SignedTransaction
from tests.benchmarks.bare_libsodium import verify_bare
from tests.support.ledger_lab import EchoExecutor, address_of, make_genesis, make_transfer

BLOCK_TRANSFERS = 1_000
SENDERS = 1_000
STARTING_BLOCKS = 4  # until the verifier takes work
Signature = tuple[bytes, bytes]


class Row(NamedTuple):
    """One block: seconds of each measure, and libsodium's processor time over ours on one thread."""

    bare: float
    bare_two: float
    ours: float
    pooled: float
    cpu_ratio: float


def make_crowded_genesis() -> Genesis:
    crowd = tuple(Allocation(address_of(f"sender {index}"), 10**12) for index in range(SENDERS))
    return msgspec.structs.replace(make_genesis(), allocations=crowd)


def make_blocks(genesis: Genesis, count: int) -> list[list[bytes]]:
    blocks = []
    for block in range(count):
        raws = []
        for index in range(BLOCK_TRANSFERS):
            sender, nonce = index % SENDERS, (block * BLOCK_TRANSFERS + index) // SENDERS
            to = f"sender {(index * 7 + 1) % SENDERS}"
            raws.append(make_transfer(genesis, f"sender {sender}", nonce, to, 5))
        blocks.append(raws)
    return blocks


def list_signatures(chain_id: bytes, raws: Sequence[bytes]) -> list[Signature]:
    signatures = []
    for raw in raws:
        envelope = Decoder(SignedTransaction).decode(raw)
        checked = check_transaction(raw, chain_id)
        assert isinstance(checked, CheckedTransaction)
        message = envelope.signature + transaction_message(envelope.payload)
        signatures.append((message, checked.transaction.sender))
    return signatures


class DurableChain:
    """A chain in a file of its own, and what checks its transactions."""

    def __init__(self, folder: Path, name: str, genesis: Genesis, verifiers: int) -> None:
        first_state = genesis_writes(genesis)
        self.store = ChainStore.create_or_open(folder / f"{name}.db", genesis, first_state)
        tree = load_state_tree(self.store, first_state)
        self.chain = Chain(
            self.store, tree, genesis, EchoExecutor(), node_id=genesis.agents[0].node
        )
        self.checker = TransactionChecker(self.chain.chain_id, verifiers)
        self.begun: Checking | None = None

    def append_alone(self, raws: Sequence[bytes]) -> None:
        """Check and append a block on this thread."""
        checked = self.checker.check(tuple(raws))
        assert not isinstance(checked, Rejected), checked
        self._append(checked)

    def append_begun(self, following: Sequence[bytes] | None) -> None:
        """Append the block that is being checked, while the following one is."""
        assert self.begun is not None
        checked = self.begun.result()
        assert not isinstance(checked, Rejected), checked
        self.begun = None if following is None else self.checker.start(following)
        self._append(checked)

    def _append(self, checked: Sequence[CheckedTransaction]) -> None:
        chain = self.chain
        slot = chain.tip.slot + 1
        time_ms = chain.tip.time_ms + 1_000
        wanted = BuildBlock(chain.final.load_epoch(), slot, chain.tip, NO_SIGNERS, time_ms)
        proposal = chain.build(wanted, checked).proposal
        assert len(proposal.block.transactions) == len(checked)
        vote = Vote(VoteKind.FINALIZE, 0, slot, proposal.hash, 0, bytes(64))
        chain.commit(proposal, FinalityProof((), build_certificate([vote])))

    def close(self) -> None:
        self.checker.close()
        self.chain.close()
        self.store.close()


def measure(job: Callable[[], object]) -> float:
    start = time.perf_counter()
    job()
    return time.perf_counter() - start


def measure_cpu(job: Callable[[], object]) -> tuple[float, float]:
    """Return the seconds that a job took, and those that it kept a processor busy."""
    start = time.process_time()
    seconds = measure(job)
    return seconds, time.process_time() - start


def measure_all(genesis: Genesis, blocks: list[list[bytes]]) -> list[Row]:
    """Return what each block took, but those while the verifier starts and the last."""
    signatures = [list_signatures(genesis_chain_id(genesis), raws) for raws in blocks]
    rows = []
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as pool:
        alone = DurableChain(Path(folder), "alone", genesis, verifiers=0)
        shared = DurableChain(Path(folder), "shared", genesis, verifiers=1)
        shared.begun = shared.checker.start(blocks[0])
        for number, raws in enumerate(blocks):
            bare = signatures[number]
            following = blocks[number + 1] if number + 1 < len(blocks) else None
            halves = (bare[: len(bare) // 2], bare[len(bare) // 2 :])
            pooled = measure(lambda: shared.append_begun(following))  # noqa: B023 - called at once
            if shared.begun is not None:  # what is left of its checking is this block's work too
                pooled += measure(shared.begun.result)
            two = measure(lambda: list(pool.map(verify_bare, halves)))  # noqa: B023
            one, one_cpu = measure_cpu(lambda: verify_bare(bare))  # noqa: B023
            ours, ours_cpu = measure_cpu(lambda: alone.append_alone(raws))  # noqa: B023
            rows.append(Row(one, two, ours, pooled, one_cpu / ours_cpu))
        alone.close()
        shared.close()
    return rows[STARTING_BLOCKS:-1]  # the last one leaves no block under way


def main() -> None:
    block_count = int(sys.argv[1]) if len(sys.argv) > 1 else 12
    genesis = make_crowded_genesis()
    rows = measure_all(genesis, make_blocks(genesis, block_count))
    print(f"{len(rows)} blocks of {BLOCK_TRANSFERS} transfers; per second: median, best")
    for name, seconds in (
        ("libsodium, one thread", [row.bare for row in rows]),
        ("libsodium, two threads", [row.bare_two for row in rows]),
        ("ours, one thread", [row.ours for row in rows]),
        ("ours, pool", [row.pooled for row in rows]),
    ):
        median, best = statistics.median(seconds), min(seconds)
        print(f"{name:<24}{BLOCK_TRANSFERS / median:10,.0f}{BLOCK_TRANSFERS / best:10,.0f}")
    for name, ratios in (
        ("ratio on one thread", [row.bare / row.ours for row in rows]),
        ("the same in CPU time", [row.cpu_ratio for row in rows]),
        ("ratio with the pool", [row.bare_two / row.pooled for row in rows]),
    ):
        print(f"{name:<24}{statistics.median(ratios):10.2f}{max(ratios):10.2f}")


if __name__ == "__main__":
    main()
