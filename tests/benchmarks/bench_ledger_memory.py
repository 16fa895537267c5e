"""What a whole ledger process holds in memory, by accounts: `smartshare run` on a chain that has so many.

    .venv/bin/python -m tests.benchmarks.bench_ledger_memory [ACCOUNTS ...]     # 1000 10000 1000000 are the defaults

The chain is made with one block over a state with the accounts; then the processes are started on it, and
read once they have made blocks of their own with transfers in them. Memory is RSS and PSS of the ledger process.
"""

import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from gateway.app.founding import NetworkOptions
from gateway.app.operator import Operator, check_applied
from gateway.app.provision import Membership, initialise
from gateway.app.wallet import WalletAccount
from gateway.clock import SystemClock
from gateway.demo.stage import find_free_port
from gateway.ledger_host.genesis import load_genesis
from gateway.settings import Home
from gateway.smart_agent.keys import KeyPlace, Purpose
from gateway.smart_agent.providers.registry import DEFAULT_URI, open_keys
from gateway.smart_agent.unlock import find_unlock
from ledger.codec import canonical
from ledger.consensus.blocks import NO_SIGNERS
from ledger.consensus.certificate import build_certificate
from ledger.consensus.effects import BuildBlock
from ledger.crypto.domains import VoteKind, vote_message
from ledger.crypto.hashing import sha256
from ledger.node.chain import Chain
from ledger.state.transition import genesis_writes
from ledger.storage.store import ChainStore
from ledger.storage.verification import load_state_tree
from ledger.types.block import FinalityProof, Vote
from ledger.types.genesis_file import genesis_chain_id
from ledger.types.records import Account
from ledger.types.transaction import Transfer
from tests.benchmarks.bench_idle import running, wait_until_blocks_flow
from tests.benchmarks.process_costs import read_costs
from tests.support.ledger_lab import EchoExecutor

SLOT_MS = 3_000
TRANSFERS = 5  # blocks with work: caches are warm


def address(number: int) -> bytes:
    return sha256(b"account %d" % number)


def fill(home: Home, accounts: int) -> None:
    """Give the home a chain of one block whose state has so many more accounts."""
    genesis = load_genesis(home)
    encoded = canonical.encode(Account(10**9))
    state = genesis_writes(genesis) | {
        b"a" + address(number): encoded for number in range(accounts)
    }
    store = ChainStore.create_or_open(home.chain, genesis, state)
    node = genesis.agents[0].node
    chain = Chain(store, load_state_tree(store, state), genesis, EchoExecutor(), node_id=node)
    built = chain.build(
        BuildBlock(chain.final.load_epoch(), 1, chain.tip, NO_SIGNERS, SystemClock().now_ms()), []
    )
    place = (VoteKind.FINALIZE, 0, 1, built.proposal.hash)
    message = vote_message(genesis_chain_id(genesis), *place)
    with closing(open_keys(DEFAULT_URI, KeyPlace(home.agent, find_unlock(home.agent)))) as keys:
        vote = Vote(*place, 0, keys.sign(Purpose.CONSENSUS, message))
    chain.commit(built.proposal, FinalityProof((), build_certificate([vote])))
    chain.close()
    store.close()


def measure(accounts: int, folder: Path) -> None:
    home = Home(folder / "home")
    initialise(
        home,
        "home",
        SystemClock(),
        listen=f"127.0.0.1:{find_free_port()}",
        membership=Membership(NetworkOptions(SLOT_MS)),
    )
    fill(home, accounts)
    started = time.monotonic()
    with running({"home": home}) as pids:
        wait_until_blocks_flow({"home": home}, 2)
        opened_s = time.monotonic() - started
        with Operator(home) as operator:
            wallet = WalletAccount(home, operator)
            for number in range(TRANSFERS):
                transaction_id, _, _ = wallet.send(Transfer(address(number), 5))
                check_applied(transaction_id, operator.wait_final(transaction_id))
        cost = read_costs(pids["home"])["ledger"]
    print(
        f"{accounts:9}{cost.rss_bytes / 1e6:8.0f}{cost.pss_bytes / 1e6:8.0f}"
        f"{home.chain.stat().st_size / 1e6:14.0f}{opened_s:18.1f}",
        flush=True,
    )


def main() -> None:
    sizes = [int(text) for text in sys.argv[1:]] or [1_000, 10_000, 1_000_000]
    print(" accounts  RSS MB  PSS MB  chain.db MB  first own block s")
    for accounts in sizes:
        with tempfile.TemporaryDirectory() as folder:
            measure(accounts, Path(folder))


if __name__ == "__main__":
    main()
