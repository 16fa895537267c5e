"""What a larger state costs: a block of transfers, its state root and a node's memory, by accounts.

    python -m tests.benchmarks.bench_state [ACCOUNTS ...]        # 10000 100000 1000000 are the defaults

Each size runs in a process of its own: a chain database with so many accounts, from which blocks of
1,000 transfers between random ones are executed, hashed and committed at synchronous=FULL. Signatures are
not verified here; the bare cost of verifying as many is measured beside it.
"""

import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec
from nacl.bindings import crypto_sign, crypto_sign_open, crypto_sign_seed_keypair

from ledger.codec import canonical
from ledger.consensus.blocks import NO_SIGNERS
from ledger.consensus.certificate import build_certificate
from ledger.consensus.effects import BuildBlock
from ledger.crypto import domains
from ledger.crypto.domains import VoteKind
from ledger.crypto.hashing import sha256
from ledger.node.chain import Chain
from ledger.state.commitment import StateTree
from ledger.state.context import CheckedTransaction
from ledger.state.transition import genesis_writes
from ledger.storage.store import ChainStore
from ledger.storage.verification import load_state_tree
from ledger.types.block import FinalityProof, Vote
from ledger.types.genesis import Genesis
from ledger.types.genesis_file import genesis_chain_id
from ledger.types.records import Account
from ledger.types.transaction import Transaction, Transfer
from tests.support.ledger_lab import EchoExecutor, make_genesis

BLOCKS = 12
BLOCK_TRANSFERS = 1_000
FEE = 2_000


def address(number: int) -> bytes:
    return sha256(b"account %d" % number)


def make_block(
    genesis: Genesis, draw: random.Random, accounts: int, nonces: dict[int, int]
) -> list[CheckedTransaction]:
    chain_id = genesis_chain_id(genesis)
    checked = []
    for _ in range(BLOCK_TRANSFERS):
        sender = draw.randrange(accounts)
        nonce = nonces[sender] = nonces.get(sender, -1) + 1
        body = Transfer(address(draw.randrange(accounts)), 5)
        payload = canonical.encode(
            Transaction(chain_id, address(sender), nonce, address(sender), FEE, 1_000, body)
        )
        transaction = canonical.Decoder(Transaction).decode(payload)
        raw = payload + bytes(70)  # as long as with its envelope
        checked.append(CheckedTransaction(raw, domains.transaction_id(payload), transaction, 300))
    return checked


def measure_bare() -> float:
    public, secret = crypto_sign_seed_keypair(bytes(32))
    signed = crypto_sign(bytes(220), secret)
    start = time.perf_counter()
    for _ in range(BLOCK_TRANSFERS):
        crypto_sign_open(signed, public)
    return time.perf_counter() - start


def measure(accounts: int) -> None:
    genesis = msgspec.structs.replace(make_genesis(), allocations=())
    first_state = genesis_writes(genesis)
    encoded = canonical.encode(Account(10**9))
    first_state |= {b"a" + address(number): encoded for number in range(accounts)}
    draw, nonces = random.Random(1), dict[int, int]()
    with tempfile.TemporaryDirectory() as folder:
        store = ChainStore.create_or_open(Path(folder) / "chain.db", genesis, first_state)
        tree = load_state_tree(store, first_state)
        del first_state
        chain = Chain(store, tree, genesis, EchoExecutor(), node_id=genesis.agents[0].node)
        rows = []
        for _ in range(BLOCKS):
            checked = make_block(genesis, draw, accounts, nonces)
            bare = measure_bare()
            slot = chain.tip.slot + 1
            place = (
                chain.final.load_epoch(),
                slot,
                chain.tip,
                NO_SIGNERS,
                chain.tip.time_ms + 1_000,
            )
            start = time.perf_counter()
            built = chain.build(BuildBlock(*place), checked)
            vote = Vote(VoteKind.FINALIZE, 0, slot, built.proposal.hash, 0, bytes(64))
            chain.commit(built.proposal, FinalityProof((), build_certificate([vote])))
            whole = time.perf_counter() - start
            writes = {b"a" + address(draw.randrange(accounts)): encoded for _ in range(2_000)}
            start = time.perf_counter()
            tree.root_after(writes)
            rows.append((bare, whole, time.perf_counter() - start))
        chain.close()
        store.close()
    print(*(statistics.median(column) * 1_000 for column in zip(*rows, strict=True)))


def measure_opening(folder: Path, accounts: int) -> None:
    """Print the seconds of opening a node's state and the process's memory then, in MB."""
    genesis = msgspec.structs.replace(make_genesis(), allocations=())
    start = time.perf_counter()
    store = ChainStore.create_or_open(folder / "chain.db", genesis, {})
    tree = StateTree.from_items(store.state_items())
    seconds = time.perf_counter() - start
    assert len(tree.root) == 32
    print(seconds, read_memory_mb(), accounts)
    store.close()


def read_memory_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def main() -> None:
    if len(sys.argv) == 3 and sys.argv[1] == "--one":
        measure(int(sys.argv[2]))
        return
    if len(sys.argv) == 4 and sys.argv[1] == "--open":
        measure_opening(Path(sys.argv[2]), int(sys.argv[3]))
        return
    sizes = [int(text) for text in sys.argv[1:]] or [10_000, 100_000, 1_000_000]
    print("accounts   bare verify   block   root of 2,000 keys (ms)   open (s)   node (MB)")
    for accounts in sizes:
        bare, whole, root = run("--one", str(accounts))
        opening, memory, _ = measure_node(accounts)
        print(f"{accounts:8}{bare:14.1f}{whole:8.1f}{root:26.1f}{opening:11.1f}{memory:12.0f}")


def measure_node(accounts: int) -> list[float]:
    genesis = msgspec.structs.replace(make_genesis(), allocations=())
    first_state = genesis_writes(genesis)
    encoded = canonical.encode(Account(10**9))
    first_state |= {b"a" + address(number): encoded for number in range(accounts)}
    with tempfile.TemporaryDirectory() as folder:
        ChainStore.create_or_open(Path(folder) / "chain.db", genesis, first_state).close()
        return run("--open", folder, str(accounts))


def run(*arguments: str) -> list[float]:
    command = (sys.executable, "-m", "tests.benchmarks.bench_state", *arguments)
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    return [float(text) for text in result.stdout.split()]


if __name__ == "__main__":
    main()
