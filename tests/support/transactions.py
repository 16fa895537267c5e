"""People with keys, a chain id, and transactions that they sign: for tests of the ledger."""

import msgspec

from ledger.codec import canonical
from ledger.crypto import domains, ed25519
from ledger.crypto.hashing import sha256
from ledger.errors import Rejected
from ledger.params import PROTOCOL_VERSION, SSP_BASE_UNITS
from ledger.state.accounts import get_account
from ledger.state.keys import account_key
from ledger.state.overlay import StateReader
from ledger.state.transition import (
    BlockContext,
    BlockResult,
    CheckedTransaction,
    apply_block,
    check_transaction,
    genesis_writes,
)
from ledger.types.genesis import Genesis, GenesisAgent
from ledger.types.outcome import Outcome, OutcomeStatus
from ledger.types.records import Account
from ledger.types.transaction import Body, RegisterNode, SignedTransaction, Transaction
from tests.support.contracts import PythonContracts

CHAIN_ID = sha256(b"a chain for tests")
HEIGHT = 10
TIME_MS = HEIGHT * 3_000  # of the block at `HEIGHT`
EXPIRY = HEIGHT + 100
FEE = 20_000
RICH = 1_000 * SSP_BASE_UNITS


class Person:
    """A name, its key and its address."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.seed = sha256(name.encode())
        self.address = ed25519.derive_public_key(self.seed)


ANNA, BEN, CARLA, PROPOSER = (Person(name) for name in ("anna", "ben", "carla", "proposer"))


def build(sender: Person, body: Body, **changes: object) -> Transaction:
    """Return a transaction of `sender` with usual values, `changes` apart."""
    usual = Transaction(
        chain_id=CHAIN_ID,
        sender=sender.address,
        nonce=0,
        fee_payer=sender.address,
        fee=FEE,
        expiry_height=EXPIRY,
        body=body,
    )
    return msgspec.structs.replace(usual, **changes)


def sign(transaction: Transaction, sender: Person, payer: Person | None = None) -> bytes:
    """Return the raw bytes of a transaction that sender, and payer if given, signed."""
    payload = canonical.encode(transaction)
    message = domains.transaction_message(payload)
    fee_signature = None if payer is None else ed25519.sign(payer.seed, message)
    signature = ed25519.sign(sender.seed, message)
    return canonical.encode(SignedTransaction(payload, signature, fee_signature))


def check(
    sender: Person, body: Body, payer: Person | None = None, **changes: object
) -> CheckedTransaction:
    """Return a signed and checked transaction."""
    if payer is not None:
        changes["fee_payer"] = payer.address
    checked = check_transaction(sign(build(sender, body, **changes), sender, payer), CHAIN_ID)
    assert not isinstance(checked, Rejected), checked
    return checked


def first_state(*agents: Person, **changes: object) -> dict[bytes, bytes]:
    """Return the state of a genesis with these agents, who hold nothing; `changes` are of its fields."""
    seats = tuple(
        GenesisAgent(
            agent.address,
            Person(f"{agent.name}'s votes").address,
            Person(f"{agent.name}'s meters").address,
        )
        for agent in agents
    )
    genesis = Genesis(PROTOCOL_VERSION, "test", 0, 3_000, 30_000, seats, ())
    writes = genesis_writes(msgspec.structs.replace(genesis, **changes))
    return {key: value for key, value in writes.items() if value is not None}


class Chain:
    """A state in a dict and blocks of one or more transactions on top of it."""

    def __init__(self, *rich: Person) -> None:
        self.state = first_state(PROPOSER)
        self.executor = PythonContracts()
        self.height = HEIGHT
        for person in rich:
            self.state[account_key(person.address)] = canonical.encode(Account(balance=RICH))

    @property
    def context(self) -> BlockContext:
        return BlockContext(
            CHAIN_ID,
            self.height,
            self.height * 3_000,
            PROPOSER.address,
            slot=self.height,
            parent_slot=self.height - 1,
        )

    def try_block(self, *transactions: CheckedTransaction) -> BlockResult | Rejected:
        """Return what a block would do, without doing it."""
        return apply_block(self.state, self.context, transactions, self.executor)

    def apply(self, *transactions: CheckedTransaction) -> tuple[Outcome, ...]:
        """Apply a block that must be valid, and return its outcomes."""
        result = self.try_block(*transactions)
        assert not isinstance(result, Rejected), result
        write(self.state, result.writes)
        return result.outcomes

    def run(self, sender: Person, body: Body, **changes: object) -> Outcome:
        """Apply a block of one transaction with the sender's next nonce."""
        changes.setdefault("nonce", self.account(sender).nonce)
        (outcome,) = self.apply(check(sender, body, None, **changes))
        return outcome

    def account(self, who: Person | bytes) -> Account:
        return get_account(self.state, who.address if isinstance(who, Person) else who)

    def supply(self) -> int:
        return get_supply(self.state)


def register_node(
    node: Person, consensus: Person, metering: Person, chain_id: bytes = CHAIN_ID
) -> RegisterNode:
    """Return a registration of `node` with both keys' proofs of possession."""
    message = domains.possession_message(chain_id, node.address)
    proofs = (ed25519.sign(key.seed, message) for key in (consensus, metering))
    return RegisterNode(consensus.address, metering.address, *proofs)


def write(state: dict[bytes, bytes], writes: dict[bytes, bytes | None]) -> None:
    for key, value in writes.items():
        if value is None:
            state.pop(key, None)
        else:
            state[key] = value


def get_supply(state: dict[bytes, bytes]) -> int:
    addresses = [key[1:] for key in state if key.startswith(b"a")]
    reader: StateReader = state
    return sum(get_account(reader, address).balance for address in addresses)


def assert_applied(outcome: Outcome) -> None:
    assert (outcome.status, outcome.reason) == (OutcomeStatus.APPLIED, "")


def assert_failed(outcome: Outcome, reason: str) -> None:
    """`reason` is the stable text of a `ledger.errors.Reason`."""
    assert outcome.status is OutcomeStatus.FAILED
    assert outcome.reason.startswith(f"{reason}: "), outcome.reason
    assert "\n" not in outcome.reason
    assert (outcome.result, outcome.events) == (b"", ())
