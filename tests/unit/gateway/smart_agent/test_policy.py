"""Which key may sign what: the whole table, then one field of a good transaction broken at a time."""

import itertools

import msgspec
import pytest

from gateway.smart_agent.keys import AgentKeys, Purpose
from gateway.smart_agent.messages import Refused, RefusedReason, SignTransaction
from gateway.smart_agent.policy import check_transaction
from ledger.codec import canonical
from ledger.crypto.domains import VoteKind
from ledger.types.block import Vote
from ledger.types.identity_bodies import (
    AppealRevocation,
    NameOwner,
    RenewLease,
    RetireNode,
    RevocationCause,
    RevokeGrant,
)
from ledger.types.stake import BallotChoice, Change
from ledger.types.transaction import (
    Anchor,
    BurnCoin,
    CallContract,
    CastBallot,
    CreateCoin,
    Delegate,
    DeployContract,
    MintCoin,
    Propose,
    RecommitOnion,
    RegisterAgent,
    RegisterDevice,
    RegisterNode,
    ReportEvidence,
    Transaction,
    Transfer,
    TransferCoin,
    Undelegate,
    Unjail,
    VoteAgents,
    Withdraw,
)

CHAIN = b"i" * 32
KEYS = AgentKeys(b"n" * 32, b"c" * 32, b"m" * 32, b"w" * 32, CHAIN)
H = b"h" * 32
PROOF = bytes(64)

BODIES = {
    "Transfer": Transfer(to=KEYS.wallet, amount=1),
    "RegisterNode": RegisterNode(KEYS.consensus, KEYS.metering, PROOF, PROOF),
    "RegisterDevice": RegisterDevice(device_id=H, profile_hash=H),
    "Anchor": Anchor(H, H, 0, 1, 0, 0, H, bytes(32)),
    "CreateCoin": CreateCoin(symbol="KWH", name="Energy", decimals=3, supply=10, supply_max=10),
    "TransferCoin": TransferCoin(coin=H, to=H, amount=1),
    "DeployContract": DeployContract(code="", manifest="", args=b"", gas_limit=0),
    "CallContract": CallContract(contract=H, method="record", args=b"", deposit=0, gas_limit=0),
    "RegisterAgent": RegisterAgent(10, H),
    "Unjail": Unjail(),
    "RecommitOnion": RecommitOnion(H),
    "Delegate": Delegate(H, 1, H),
    "Undelegate": Undelegate(H, 1),
    "Withdraw": Withdraw(),
    "VoteAgents": VoteAgents((H,)),
    "Propose": Propose(1, "title", (Change("epoch_blocks", 5),), 9),
    "CastBallot": CastBallot(H, BallotChoice.YES),
    "MintCoin": MintCoin(H, H, 1),
    "BurnCoin": BurnCoin(H, 1),
    "ReportEvidence": ReportEvidence(
        H, *(Vote(VoteKind.NOTARIZE, 1, 1, H, 0, PROOF) for _ in range(2))
    ),
    "RenewLease": RenewLease(H, 1),
    "NameOwner": NameOwner(KEYS.node, KEYS.wallet),
    "RetireNode": RetireNode(KEYS.node, None),
    "AppealRevocation": AppealRevocation(H, "it was found"),
    "RevokeGrant": RevokeGrant(b"", RevocationCause.DEFECT, ""),
}
ALLOWED = {
    ("node", "RegisterNode"),
    ("metering", "RegisterDevice"),
    ("metering", "Anchor"),
    ("metering", "CallContract"),
    ("node", "RetireNode"),
    ("node", "AppealRevocation"),
    ("metering", "RenewLease"),
    ("metering", "NameOwner"),
    *(("node", kind) for kind in ("RegisterAgent", "Unjail", "RecommitOnion", "Transfer")),
    *(
        (purpose, kind)
        for purpose in ("node", "wallet")
        for kind in ("Delegate", "Undelegate", "Withdraw")
    ),
    *(("wallet", kind) for kind in ("VoteAgents", "Propose", "CastBallot", "MintCoin", "BurnCoin")),
    *((purpose, "ReportEvidence") for purpose in ("metering", "wallet")),
    ("wallet", "NameOwner"),
    ("wallet", "RetireNode"),
    ("wallet", "Transfer"),
    ("wallet", "CreateCoin"),
    ("wallet", "TransferCoin"),
    ("wallet", "DeployContract"),
    ("wallet", "CallContract"),
}


def transaction(purpose, body, **changes):
    sender = KEYS.key_of(purpose)
    fields = {
        "chain_id": CHAIN,
        "sender": sender,
        "nonce": 0,
        "fee_payer": sender,
        "fee": 1000,
        "expiry_height": 100,
        "body": body,
    }
    return Transaction(**(fields | changes))


def check(purpose, transaction, keys=KEYS):
    """Return the refusal, or None where the transaction may be signed."""
    request = SignTransaction(purpose, canonical.encode(transaction))
    checked = check_transaction(request, keys)
    return checked if isinstance(checked, Refused) else None


@pytest.mark.parametrize(("purpose", "name"), list(itertools.product(Purpose, BODIES)))
def test_a_purpose_signs_its_own_bodies_and_no_other(purpose, name):
    refused = check(purpose, transaction(purpose, BODIES[name]))

    if (purpose.value, name) in ALLOWED:
        assert refused is None
    else:
        assert refused.reason is RefusedReason.NOT_ALLOWED
        assert name in refused.detail


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"chain_id": b"x" * 32}, RefusedReason.WRONG_CHAIN),
        ({"sender": KEYS.wallet, "fee_payer": KEYS.wallet}, RefusedReason.WRONG_SENDER),
        ({"sender": H, "fee_payer": H}, RefusedReason.WRONG_SENDER),
        ({"fee_payer": KEYS.wallet}, RefusedReason.NOT_ALLOWED),
        ({"fee_payer": H}, RefusedReason.NOT_ALLOWED),
    ],
)
def test_an_anchor_with_one_field_broken(changes, reason):
    refused = check(Purpose.METERING, transaction(Purpose.METERING, BODIES["Anchor"], **changes))

    assert (refused and refused.reason) == reason


def test_the_metering_key_pays_no_deposit_but_the_wallet_does():
    call = CallContract(contract=H, method="record", args=b"", deposit=1, gas_limit=0)

    refused = check(Purpose.METERING, transaction(Purpose.METERING, call))
    assert refused
    assert refused.reason is RefusedReason.NOT_ALLOWED
    assert "deposit" in refused.detail
    assert check(Purpose.WALLET, transaction(Purpose.WALLET, call)) is None


@pytest.mark.parametrize(
    "body",
    [
        RegisterNode(H, KEYS.metering, PROOF, PROOF),
        RegisterNode(KEYS.consensus, H, PROOF, PROOF),
    ],
)
def test_a_node_is_registered_with_its_own_keys_only(body):
    refused = check(Purpose.NODE, transaction(Purpose.NODE, body))

    assert refused
    assert refused.reason is RefusedReason.NOT_ALLOWED


@pytest.mark.parametrize("payer", [Purpose.METERING, Purpose.WALLET])
def test_metering_or_wallet_pay_for_what_the_node_key_may_send(payer):
    fee_payer = KEYS.key_of(payer)
    registration = transaction(Purpose.NODE, BODIES["RegisterNode"], fee_payer=fee_payer)
    assert check(Purpose.NODE, registration) is None
    assert check(payer, registration) is None
    strange = transaction(Purpose.NODE, BODIES["CreateCoin"], fee_payer=fee_payer)
    assert check(payer, strange).reason is RefusedReason.NOT_ALLOWED
    other = transaction(Purpose.NODE, BODIES["RegisterNode"], sender=H, fee_payer=fee_payer)
    assert check(payer, other).reason is RefusedReason.WRONG_SENDER
    by_consensus = transaction(
        Purpose.NODE, BODIES["RegisterNode"], fee_payer=KEYS.key_of(Purpose.CONSENSUS)
    )
    assert check(Purpose.NODE, by_consensus).reason is RefusedReason.NOT_ALLOWED


@pytest.mark.parametrize(
    ("purpose", "body"),
    [
        (Purpose.METERING, NameOwner(KEYS.node, H)),
        (Purpose.METERING, NameOwner(H, KEYS.wallet)),
        (Purpose.NODE, RetireNode(H, None)),
    ],
)
def test_a_node_speaks_of_its_own_identity_alone(purpose, body):
    assert check(purpose, transaction(purpose, body)).reason is RefusedReason.NOT_ALLOWED


def test_the_owner_hands_on_and_retires_other_nodes():
    for body in (NameOwner(H, KEYS.metering), RetireNode(H, KEYS.node)):
        assert check(Purpose.WALLET, transaction(Purpose.WALLET, body)) is None


def test_nothing_is_signed_before_a_chain_is_bound():
    unbound = msgspec.structs.replace(KEYS, chain_id=None)

    refused = check(Purpose.METERING, transaction(Purpose.METERING, BODIES["Anchor"]), unbound)

    assert refused
    assert refused.reason is RefusedReason.NOT_BOUND


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"any bytes",
        canonical.encode(transaction(Purpose.METERING, BODIES["Anchor"])) + b"\x00",
        canonical.encode(transaction(Purpose.METERING, BODIES["Anchor"]))[:-1],
        # nonce 0 written in two bytes: it decodes, and is not canonical
        canonical.encode(transaction(Purpose.METERING, BODIES["Anchor"])).replace(
            b"m" * 32 + b"\x00", b"m" * 32 + b"\xcc\x00", 1
        ),
    ],
    ids=["empty", "text", "trailing", "cut", "not-canonical"],
)
def test_bytes_that_are_no_canonical_transaction_are_malformed(payload):
    refused = check_transaction(SignTransaction(Purpose.METERING, payload), KEYS)

    assert isinstance(refused, Refused)
    assert refused.reason is RefusedReason.MALFORMED
    assert refused.detail.isprintable()


def test_what_the_node_key_earns_goes_to_its_own_wallet_alone():
    elsewhere = transaction(Purpose.NODE, Transfer(to=H, amount=1), fee_payer=KEYS.wallet)
    refused = check(Purpose.NODE, elsewhere)
    assert refused.reason is RefusedReason.NOT_ALLOWED
    assert "own wallet" in refused.detail
    assert check(Purpose.WALLET, elsewhere).reason is RefusedReason.NOT_ALLOWED
