"""Whole blocks: what makes one invalid, what failures cost, and that SSP is neither made nor lost."""

import dataclasses

import pytest
from hypothesis import given, settings, strategies as st

from ledger.codec import canonical
from ledger.crypto import domains
from ledger.crypto.hashing import sha256
from ledger.errors import Reason, Rejected, StorageError
from ledger.params import (
    BLOCK_GAS_MAX,
    CONTRACT_CALL_GAS_MAX,
    EXPIRY_HEIGHTS_MAX,
    GAS_PER_FEE_UNIT,
)
from ledger.state.accounts import REWARD_POOL
from ledger.state.commitment import StateTree
from ledger.state.keys import ACCOUNT_PREFIX, RUNNING_KEY, account_key
from ledger.state.transition import (
    FAILED_IN_BLOCK_MAX,
    CheckedTransaction,
    apply_block,
    list_account_keys,
    select_transactions,
)
from ledger.types.records import Account
from ledger.types.transaction import (
    Body,
    CallContract,
    CreateCoin,
    DeployContract,
    Transfer,
    TransferCoin,
)
from tests.support.contracts import PROGRAM
from tests.support.transactions import (
    ANNA,
    BEN,
    CARLA,
    FEE,
    HEIGHT,
    PROPOSER,
    RICH,
    Chain,
    Person,
    assert_applied,
    assert_failed,
    check,
    register_node,
    write,
)

TRANSFER = Transfer(BEN.address, 100)
NEW_COIN = CreateCoin("COIN", "a coin", 0, 1, 1)


def test_an_empty_block_changes_only_what_every_block_counts():
    result = Chain(ANNA).try_block()
    assert not isinstance(result, Rejected)
    assert result.outcomes == ()
    assert list(result.writes) == [RUNNING_KEY]


class Watched(dict[bytes, bytes]):
    """A state that remembers what was asked of it."""

    def __init__(self, state: dict[bytes, bytes]) -> None:
        super().__init__(state)
        self.asked: set[bytes] = set()

    def get(self, key, default=None):
        self.asked.add(key)
        return super().get(key, default)


def test_which_accounts_transfers_read_is_known_beforehand():
    chain = Chain(ANNA, BEN)
    made = [
        check(ANNA, TRANSFER),
        check(BEN, Transfer(CARLA.address, 1)),
        check(BEN, NEW_COIN, nonce=1),
    ]
    known = set(list_account_keys(made))
    assert known == {account_key(person.address) for person in (ANNA, BEN, CARLA)}
    view = Watched(chain.state)
    assert not isinstance(apply_block(view, chain.context, made, chain.executor), Rejected)
    own = {account_key(PROPOSER.address), account_key(REWARD_POOL)}
    assert {key for key in view.asked if key.startswith(ACCOUNT_PREFIX)} - own == known


def test_the_view_is_only_read():
    chain = Chain(ANNA)
    before = dict(chain.state)
    chain.try_block(check(ANNA, TRANSFER))
    assert chain.state == before


def test_transactions_see_what_those_before_them_did():
    chain = Chain(ANNA)
    first, second = chain.apply(
        check(ANNA, Transfer(BEN.address, FEE + 10)), check(BEN, Transfer(CARLA.address, 10))
    )
    assert_applied(first)
    assert_applied(second)
    assert chain.account(CARLA).balance == 10
    assert chain.account(BEN) == Account(0, nonce=1)


def test_a_failure_pays_its_fee_uses_its_nonce_and_stops_nobody():
    chain = Chain(ANNA, BEN)
    failed, applied = chain.apply(
        check(ANNA, Transfer(BEN.address, 2 * RICH)), check(ANNA, TRANSFER, nonce=1)
    )
    assert_failed(failed, "insufficient-funds")
    assert_applied(applied)
    assert failed.fee_paid == applied.fee_paid == FEE
    assert chain.account(ANNA) == Account(RICH - 2 * FEE - 100, nonce=2)
    assert chain.account(PROPOSER).balance == 2 * FEE


def test_fees_reach_the_proposer_only_after_the_last_transaction():
    chain = Chain(ANNA)
    result = chain.try_block(check(ANNA, TRANSFER), check(PROPOSER, TRANSFER))
    assert isinstance(result, Rejected)
    assert "insufficient-funds" in result.detail


def test_another_account_pays_the_fee_and_keeps_its_nonce():
    chain = Chain(ANNA, CARLA)
    chain.apply(check(ANNA, TRANSFER, payer=CARLA))
    assert chain.account(ANNA) == Account(RICH - 100, nonce=1)
    assert chain.account(CARLA) == Account(RICH - FEE, nonce=0)


def test_a_sender_without_any_ssp_may_act_when_another_pays():
    chain = Chain(CARLA)
    chain.apply(check(ANNA, CreateCoin("PARK", "", 0, 5, 5), payer=CARLA))
    assert chain.account(ANNA) == Account(0, nonce=1)


@pytest.mark.parametrize(
    ("transaction", "reason"),
    [
        (check(ANNA, TRANSFER, nonce=1), "bad-nonce"),
        (check(ANNA, TRANSFER, expiry_height=HEIGHT - 1), "expired"),
        (check(ANNA, TRANSFER, expiry_height=HEIGHT + EXPIRY_HEIGHTS_MAX + 1), "out-of-range"),
        (check(ANNA, TRANSFER, fee=1_000), "fee-too-low"),
        (check(ANNA, TRANSFER, fee=RICH + 1), "insufficient-funds"),
        (check(BEN, TRANSFER), "insufficient-funds"),
        (check(ANNA, TRANSFER, payer=CARLA), "insufficient-funds"),
    ],
)
def test_a_block_with_a_transaction_that_may_not_stand_in_it_is_bad(transaction, reason):
    result = Chain(ANNA).try_block(transaction)
    assert isinstance(result, Rejected)
    assert result.reason is Reason.BAD_BLOCK
    assert f"transaction 0 ({transaction.id.hex()[:16]}): {reason}: " in result.detail


def test_the_same_transaction_twice_makes_a_block_bad():
    result = Chain(ANNA).try_block(check(ANNA, TRANSFER), check(ANNA, TRANSFER))
    assert isinstance(result, Rejected)
    assert "transaction 1" in result.detail
    assert "bad-nonce" in result.detail


def test_a_transaction_of_another_chain_makes_a_block_bad():
    chain = Chain(ANNA)
    context = dataclasses.replace(chain.context, chain_id=sha256(b"another"))
    result = apply_block(chain.state, context, [check(ANNA, TRANSFER)], chain.executor)
    assert isinstance(result, Rejected)
    assert "wrong-chain" in result.detail


def test_a_block_has_a_limit_of_gas():
    body = CallContract(bytes(32), "read", b"\x90", 0, CONTRACT_CALL_GAS_MAX)
    fee = FEE + CONTRACT_CALL_GAS_MAX // GAS_PER_FEE_UNIT
    count = BLOCK_GAS_MAX // CONTRACT_CALL_GAS_MAX
    calls = [check(ANNA, body, nonce=nonce, fee=fee) for nonce in range(count + 1)]
    chain = Chain(ANNA)
    assert not isinstance(chain.try_block(*calls[:-1]), Rejected)
    refused = chain.try_block(*calls)
    assert isinstance(refused, Rejected)
    assert refused.reason is Reason.BAD_BLOCK


def test_the_same_block_gives_the_same_result():
    def run() -> tuple[object, bytes]:
        chain = Chain(ANNA, BEN)
        result = chain.try_block(check(ANNA, TRANSFER), check(BEN, CreateCoin("A", "", 0, 1, 1)))
        assert not isinstance(result, Rejected)
        return result.outcomes, StateTree.from_items(chain.state.items()).apply(result.writes)

    assert run() == run()


# Random transactions: senders with little money, so that many fail in every way.

PEOPLE = (ANNA, BEN, CARLA, PROPOSER)
CONTRACT = domains.contract_address(ANNA.address, 0)
COIN = domains.coin_id(BEN.address, 0)
START = 200_000
addresses = st.sampled_from([person.address for person in PEOPLE] + [CONTRACT])
amounts = st.integers(0, START) | st.sampled_from([2**63 - 1, START * len(PEOPLE)])


def call(method: str, *arguments: object, deposit: int = 0) -> CallContract:
    return CallContract(CONTRACT, method, canonical.encode(list(arguments)), deposit, 5_000)


bodies: st.SearchStrategy[Body] = st.one_of(
    st.builds(Transfer, addresses, amounts),
    st.builds(lambda to, n, d: call("pay", to, n, deposit=d), addresses, amounts, amounts),
    st.builds(
        lambda to, n, d: call("pay_and_refuse", to, n, deposit=d), addresses, amounts, amounts
    ),
    st.builds(lambda d: call("no_such_method", deposit=d), amounts),
    st.just(DeployContract(PROGRAM.source, PROGRAM.manifest, b"\x90", 5_000)),
    st.just(DeployContract("nonsense", "", b"\x90", 5_000)),
    st.builds(CreateCoin, st.just("PARK"), st.just(""), st.just(0), amounts, amounts),
    st.builds(TransferCoin, st.just(COIN), addresses, amounts),
    st.just(register_node(ANNA, Person("votes"), Person("meters"))),
)
steps = st.tuples(
    st.sampled_from(PEOPLE), bodies, st.none() | st.sampled_from(PEOPLE), st.integers(1_500, 15_000)
)


def start_chain() -> Chain:
    chain = Chain()
    for person in PEOPLE:
        chain.state[account_key(person.address)] = canonical.encode(Account(START))
    chain.apply(
        check(ANNA, DeployContract(PROGRAM.source, PROGRAM.manifest, b"\x90", 5_000)),
        check(BEN, CreateCoin("PARK", "", 0, START, START)),
    )
    return chain


def build_block(
    chain: Chain, plan: list[tuple[Person, Body, Person | None, int]]
) -> list[CheckedTransaction]:
    nonces = {person: chain.account(person).nonce for person in PEOPLE}
    transactions: list[CheckedTransaction] = []
    for sender, body, payer, fee in plan:
        other = None if payer is sender else payer
        transaction = check(sender, body, other, nonce=nonces[sender], fee=fee)
        result = chain.try_block(*transactions, transaction)
        if isinstance(result, Rejected):
            assert result.reason is Reason.BAD_BLOCK
            continue
        transactions.append(transaction)
        nonces[sender] += 1
    return transactions


@settings(max_examples=60)
@given(plan=st.lists(steps, min_size=1, max_size=8))
def test_no_sequence_of_transactions_makes_or_loses_ssp(plan):
    chain = start_chain()
    tree = StateTree.from_items(chain.state.items())
    transactions = build_block(chain, plan)
    result = chain.try_block(*transactions)
    assert not isinstance(result, Rejected)
    for outcome, transaction in zip(result.outcomes, transactions, strict=True):
        assert 1_000 < outcome.fee_paid <= transaction.transaction.fee
    write(chain.state, result.writes)
    assert chain.supply() == START * len(PEOPLE)
    assert tree.apply(result.writes) == StateTree.from_items(chain.state.items()).root
    for person in PEOPLE:
        sent = sum(t.transaction.sender == person.address for t in transactions)
        assert chain.account(person).nonce == sent + (person in (ANNA, BEN))


@settings(max_examples=30)
@given(plan=st.lists(steps, min_size=1, max_size=6))
def test_one_block_and_many_blocks_come_to_the_same_balances(plan):
    together, apart = start_chain(), start_chain()
    # The proposer, who is paid at other moments, sends nothing.
    transactions = build_block(together, [step for step in plan if step[0] is not PROPOSER])
    people = (ANNA, BEN, CARLA)
    together.apply(*transactions)
    for transaction in transactions:
        apart.apply(transaction)
    assert [together.account(p) for p in people] == [apart.account(p) for p in people]


class TestSelection:
    """A proposer runs what strangers sent: whatever one of them does, the others get their block."""

    @staticmethod
    def select(chain: Chain, *candidates: CheckedTransaction):
        return select_transactions(chain.state, chain.context, candidates, chain.executor)

    @staticmethod
    def contract_chain() -> Chain:
        chain = Chain(ANNA, BEN, CARLA)
        chain.apply(check(ANNA, DeployContract(PROGRAM.source, PROGRAM.manifest, b"\x90", 5_000)))
        return chain

    @pytest.mark.parametrize("method", ["crash", "stumble"])
    def test_what_cannot_be_run_is_left_out_with_its_senders_later_ones(self, method: str):
        chain = self.contract_chain()
        before, poison, behind = (
            check(BEN, TRANSFER),
            check(BEN, call(method, deposit=9), nonce=1),
            check(BEN, TRANSFER, nonce=2),
        )
        others = [check(CARLA, TRANSFER), check(ANNA, call("read", b"key"), nonce=1)]
        selected = self.select(chain, before, poison, behind, *others)
        assert list(selected.transactions) == [before, *others]
        ((failed, refusal),) = selected.failed
        assert (failed, refusal.reason) == (poison, Reason.NOT_RUN)
        assert chain.try_block(*selected.transactions) == selected.result

    def test_what_no_block_may_hold_is_left_out(self):
        chain = self.contract_chain()
        selected = self.select(chain, check(BEN, TRANSFER, nonce=7), check(CARLA, TRANSFER))
        assert [c.transaction.sender for c in selected.transactions] == [CARLA.address]
        assert selected.failed[0][1].reason is Reason.BAD_NONCE

    def test_after_some_failures_no_more_contracts_are_run(self):
        people = [Person(f"person {number}") for number in range(6)]
        chain = Chain(ANNA, *people)
        chain.apply(check(ANNA, DeployContract(PROGRAM.source, PROGRAM.manifest, b"\x90", 5_000)))
        runs = len(chain.executor.calls)
        crashes = [check(person, call("crash")) for person in people]
        transfer = check(ANNA, TRANSFER, nonce=1)
        selected = self.select(chain, *crashes, transfer)
        assert selected.transactions == (transfer,)
        assert len(selected.failed) == len(chain.executor.calls) - runs == FAILED_IN_BLOCK_MAX

    def test_a_database_that_fails_is_no_transactions_fault(self):
        class Broken:
            def get(self, key: bytes, /) -> bytes | None:
                raise StorageError("the disk is gone")

        chain = self.contract_chain()
        with pytest.raises(StorageError, match="the disk is gone"):
            select_transactions(Broken(), chain.context, [check(BEN, TRANSFER)], chain.executor)
