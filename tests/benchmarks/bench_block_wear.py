"""What a block costs the disk in the chain database alone, by the size of its pages.

    python -m tests.benchmarks.bench_block_wear [--folder DIR]

Each block is written ahead, then its certificate, then it is committed as final, as a node does it: three
synced commits. It is empty, or holds one transfer. Bytes are `write_bytes` of this process: pages of 4 KiB
of the system's cache that became dirty. The folder must be on a disk.
"""

import argparse
import tempfile
from pathlib import Path

from ledger.consensus.blocks import NO_SIGNERS
from ledger.consensus.certificate import build_certificate
from ledger.consensus.effects import BuildBlock
from ledger.crypto.domains import VoteKind
from ledger.errors import Rejected
from ledger.state.transition import CheckedTransaction
from ledger.types.block import FinalityProof, Vote
from ledger.types.genesis import Genesis
from tests.benchmarks.bench_chain import DurableChain, make_crowded_genesis
from tests.benchmarks.disk_pages import create_file, read_disk_bytes
from tests.support.ledger_lab import make_transfer

WARM_UP, BLOCKS = 100, 600  # within one epoch
SLOT_MS = 30_000
PAGES_BYTES = (4_096, 2_048, 1_024)  # the last is the chain database's own


def append(durable: DurableChain, checked: tuple[CheckedTransaction, ...]) -> None:
    """Take a block through all that a node writes of it."""
    chain = durable.chain
    slot = chain.tip.slot + 1
    time_ms = chain.tip.time_ms + SLOT_MS
    wanted = BuildBlock(chain.final.load_epoch(), slot, chain.tip, NO_SIGNERS, time_ms)
    proposal = chain.build(wanted, checked).proposal
    chain.persist_proposal(proposal)
    votes = [Vote(VoteKind.NOTARIZE, 0, slot, proposal.hash, seat, bytes(64)) for seat in range(3)]
    chain.persist_certificate(build_certificate(votes))
    votes = [Vote(VoteKind.FINALIZE, 0, slot, proposal.hash, seat, bytes(64)) for seat in range(3)]
    chain.commit(proposal, FinalityProof((), build_certificate(votes)))


def check_transfer(
    durable: DurableChain, genesis: Genesis, nonce: int
) -> tuple[CheckedTransaction, ...]:
    checked = durable.checker.check((make_transfer(genesis, "sender 0", nonce, "sender 1", 5),))
    assert not isinstance(checked, Rejected), checked
    return tuple(checked)


def measure(folder: Path, genesis: Genesis, *, with_transfer: bool) -> float:
    """Return the bytes for each block."""
    durable = DurableChain(folder, "chain", genesis, verifiers=0)
    before = 0
    for count in range(WARM_UP + BLOCKS):
        if count == WARM_UP:
            before = read_disk_bytes()
        append(durable, check_transfer(durable, genesis, count) if with_transfer else ())
    durable.close()  # what closing copies from the log into the file is part of it
    return (read_disk_bytes() - before) / BLOCKS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--folder", type=Path, help="on the disk to measure")
    folder, genesis = parser.parse_args().folder, make_crowded_genesis()
    print("bytes of a page  for an empty block  for a block of one transfer")
    for page_bytes in PAGES_BYTES:
        costs = []
        for with_transfer in (False, True):
            with tempfile.TemporaryDirectory(dir=folder) as place:
                create_file(Path(place) / "chain.db", page_bytes)
                costs.append(measure(Path(place), genesis, with_transfer=with_transfer))
        print(f"{page_bytes:15,}  {costs[0]:18,.0f}  {costs[1]:27,.0f}", flush=True)


if __name__ == "__main__":
    main()
