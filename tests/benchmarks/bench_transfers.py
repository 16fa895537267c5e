"""How close signed transfers come to raw signature verification, in one run on one thread.

    python -m tests.benchmarks.bench_transfers

Raw: libsodium's verification by the ledger's own call of it, of the same signatures over the same
messages. Ours: decode, verify, apply and state root, in blocks of 1,000, in memory, without storage.
Both are measured in turn, block by block; the table shows median and best of three.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ledger.codec import canonical
from ledger.crypto import domains, ed25519
from ledger.crypto.hashing import sha256
from ledger.errors import Rejected
from ledger.ports import ContractCall, ContractCode, ContractHost, ExecutionResult
from ledger.state.commitment import StateTree
from ledger.state.keys import account_key
from ledger.state.transition import BlockContext, apply_block, check_transaction
from ledger.types.records import Account
from ledger.types.transaction import SignedTransaction, Transaction, Transfer
from tests.benchmarks.bare_libsodium import verify_bare
from tests.support.transactions import Person, first_state

BLOCKS = 10
BLOCK_TRANSACTIONS = 1_000
ACCOUNTS = 1_000
IDLE_ACCOUNTS = 100_000  # a state that is larger than what a block touches
ROUNDS = 3
FEE = 2_000
CHAIN_ID = sha256(b"benchmark")
PROPOSER = Person("proposer")


class NoContracts:
    """No transfer runs code."""

    def check(self, code: ContractCode) -> str | None:
        raise AssertionError

    def execute(self, call: ContractCall, host: ContractHost) -> ExecutionResult:
        raise AssertionError


@dataclass(frozen=True)
class Workload:
    """The same transfers in both forms: as blocks of raw bytes, and as bare signatures."""

    blocks: Sequence[Sequence[bytes]]
    signatures: Sequence[tuple[bytes, bytes]]
    state: dict[bytes, bytes]


def build_workload() -> Workload:
    seeds = [sha256(b"account %d" % i) for i in range(ACCOUNTS)]
    addresses = [ed25519.derive_public_key(seed) for seed in seeds]
    raws: list[bytes] = []
    signatures: list[tuple[bytes, bytes]] = []
    for number in range(BLOCKS * BLOCK_TRANSACTIONS):
        turn, who = divmod(number, ACCOUNTS)
        body = Transfer(to=addresses[(who * 7 + turn + 1) % ACCOUNTS], amount=1 + number % 100)
        transaction = Transaction(
            CHAIN_ID, addresses[who], turn, addresses[who], FEE, expiry_height=1_000, body=body
        )
        payload = canonical.encode(transaction)
        message = domains.transaction_message(payload)
        signature = ed25519.sign(seeds[who], message)
        raws.append(canonical.encode(SignedTransaction(payload, signature, None)))
        signatures.append((signature + message, addresses[who]))
    state = first_state(PROPOSER)
    for address in [*addresses, *(sha256(b"idle %d" % i) for i in range(IDLE_ACCOUNTS))]:
        state[account_key(address)] = canonical.encode(Account(10**12))
    starts = range(0, len(raws), BLOCK_TRANSACTIONS)
    blocks = [raws[start : start + BLOCK_TRANSACTIONS] for start in starts]
    return Workload(blocks, signatures, state)


def measure_both(work: Workload) -> tuple[float, float]:
    """Return the seconds of both, block by block in turn: a busy machine slows them alike."""
    state = dict(work.state)
    tree = StateTree.from_items(state.items())
    raw = ours = 0.0
    for height, block in enumerate(work.blocks, start=1):
        first = (height - 1) * BLOCK_TRANSACTIONS
        start = time.perf_counter()
        verify_bare(work.signatures[first : first + BLOCK_TRANSACTIONS])
        middle = time.perf_counter()
        apply_one_block(state, tree, height, block)
        raw += middle - start
        ours += time.perf_counter() - middle
    return raw, ours


def apply_one_block(
    state: dict[bytes, bytes], tree: StateTree, height: int, block: Sequence[bytes]
) -> None:
    checked = []
    for raw in block:
        transaction = check_transaction(raw, CHAIN_ID)
        assert not isinstance(transaction, Rejected), transaction
        checked.append(transaction)
    context = BlockContext(
        CHAIN_ID,
        height,
        height * 3_000,
        PROPOSER.address,
        slot=height,
        parent_slot=height - 1,
    )
    result = apply_block(state, context, checked, NoContracts())
    assert not isinstance(result, Rejected), result
    assert not any(outcome.reason for outcome in result.outcomes)
    tree.apply(result.writes)
    for key, value in result.writes.items():
        assert value is not None
        state[key] = value


def print_table(raw: list[float], ours: list[float]) -> None:
    count = BLOCKS * BLOCK_TRANSACTIONS
    statistic: tuple[tuple[str, Callable[[list[float]], float]], ...] = (
        ("median", statistics.median),
        ("best", min),
    )
    print(f"{count} transfers, blocks of {BLOCK_TRANSACTIONS}, {len(raw)} rounds, one thread")
    for name, pick in statistic:
        raw_rate, our_rate = count / pick(raw), count / pick(ours)
        print(
            f"{name:>6}: raw libsodium {raw_rate:9,.0f}/s   decoded, verified, applied, "
            f"state root {our_rate:9,.0f}/s   ratio {our_rate / raw_rate:.3f}"
        )


if __name__ == "__main__":
    workload = build_workload()
    rounds = [measure_both(workload) for _ in range(ROUNDS)]
    print_table([raw for raw, _ in rounds], [ours for _, ours in rounds])
