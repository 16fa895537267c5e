"""Signed transfers per second into a durable chain, beside libsodium's bare verification rate.

    python tests/benchmarks/bench_chain.py [BLOCKS]

Each block of 1,000 transfers is checked (form and signature), executed, committed to by the state
root and written with one SQLite commit at synchronous=FULL. Both rates are of the same run, so their
ratio says more than either.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

from nacl.bindings import crypto_sign_open

from ledger.codec.canonical import Decoder
from ledger.consensus.blocks import NO_SIGNERS, Proposal
from ledger.consensus.certificate import build_certificate
from ledger.consensus.effects import BuildBlock
from ledger.crypto.domains import VoteKind, transaction_message
from ledger.errors import Rejected
from ledger.node.chain import Chain
from ledger.params import PROTOCOL_VERSION
from ledger.state.transition import CheckedTransaction, check_transaction, genesis_writes
from ledger.storage.store import ChainStore
from ledger.storage.verification import load_state_tree
from ledger.types.block import FinalityProof, Vote
from ledger.types.genesis import Allocation, Genesis
from ledger.types.genesis_file import genesis_chain_id
from ledger.types.transaction import SignedTransaction
from tests.support.ledger_lab import EchoExecutor, address_of, make_genesis, make_transfer

BLOCK_TRANSFERS = 1_000
SENDERS = 500


def make_crowded_genesis() -> Genesis:
    lab = make_genesis()
    crowd = tuple(Allocation(address_of(f"sender {index}"), 10**12) for index in range(SENDERS))
    return Genesis(
        PROTOCOL_VERSION, lab.name, lab.time_ms, lab.slot_ms, lab.heartbeat_ms, lab.agents, crowd
    )


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


def measure_verification(chain_id: bytes, raws: list[bytes]) -> float:
    """Return the seconds that libsodium takes for these signatures, on one core."""
    envelopes = [Decoder(SignedTransaction).decode(raw) for raw in raws]
    signed = []
    for raw, envelope in zip(raws, envelopes, strict=True):
        checked = check_transaction(raw, chain_id)
        assert isinstance(checked, CheckedTransaction)
        message = envelope.signature + transaction_message(envelope.payload)
        signed.append((message, checked.transaction.sender))
    start = time.perf_counter()
    for message, key in signed:
        crypto_sign_open(message, key)
    return time.perf_counter() - start


def measure_block(chain: Chain, chain_id: bytes, raws: list[bytes]) -> float:
    """Return the seconds from raw transactions to a final block on disk."""
    start = time.perf_counter()
    append_block(chain, chain_id, raws)
    return time.perf_counter() - start


def append_block(chain: Chain, chain_id: bytes, raws: list[bytes]) -> None:
    checked = []
    for raw in raws:
        transaction = check_transaction(raw, chain_id)
        assert not isinstance(transaction, Rejected), transaction
        checked.append(transaction)
    slot = chain.tip.slot + 1
    wanted = BuildBlock(chain.load_epoch(), slot, chain.tip, NO_SIGNERS, chain.tip.time_ms + 1_000)
    proposal: Proposal = chain.build(wanted, checked).proposal
    assert len(proposal.block.transactions) == len(raws)
    vote = Vote(VoteKind.FINALIZE, 0, slot, proposal.hash, 0, bytes(64))
    chain.commit(proposal, FinalityProof((), build_certificate([vote])))


def main() -> None:
    block_count = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    genesis = make_crowded_genesis()
    chain_id = genesis_chain_id(genesis)
    blocks = make_blocks(genesis, block_count)
    with tempfile.TemporaryDirectory() as folder:
        first_state = genesis_writes(genesis)
        store = ChainStore.create_or_open(Path(folder) / "chain.db", genesis, first_state)
        chain = Chain(
            store,
            load_state_tree(store, first_state),
            genesis,
            EchoExecutor(),
            node_id=genesis.agents[0].node,
        )
        seconds = [
            (measure_verification(chain_id, raws), measure_block(chain, chain_id, raws))
            for raws in blocks
        ]
        store.close()
    verified = BLOCK_TRANSFERS / statistics.median(bare for bare, _ in seconds)
    rate = BLOCK_TRANSFERS / statistics.median(whole for _, whole in seconds)
    print(f"libsodium verification, one core   {verified:10,.0f} /s")
    print(f"durable transfers, one thread      {rate:10,.0f} /s")
    print(f"ratio                              {rate / verified:10.2f}")


if __name__ == "__main__":
    main()
