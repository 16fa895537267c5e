"""Whether a transaction may stand in a block at all, apart from what it then does.

    check_transaction   once, when the bytes arrive: form and signatures; needs no state
    open_transaction    its first half: form, and which signatures are to be verified
    check_includable    against the state in which it would run: chain, nonce, expiry, fee, payer's funds
    admit_transaction   before it waits in a mempool: includable, and its sender can pay what it moves

Rule 1: a block with a transaction that is not includable is not a block.
Rule 2: signatures are over the payload bytes as received; `fee_signature` stands if, and only if,
the fee payer is not the sender. The nonce is the sender's.
"""

from ledger.codec import canonical
from ledger.crypto import domains
from ledger.crypto.ed25519 import SignatureClaim, verify_strict
from ledger.errors import CodecError, Reason, Rejected
from ledger.params import EXPIRY_HEIGHTS_MAX, TRANSACTION_BYTES_MAX
from ledger.state.accounts import get_account
from ledger.state.agents import get_parameters
from ledger.state.context import CheckedTransaction, OpenedTransaction
from ledger.state.contract_values import is_contract_value
from ledger.state.epochs import get_epoch
from ledger.state.fees import CODE_BODIES, compute_fee_required, is_free_offer
from ledger.state.overlay import StateReader
from ledger.state.stake import count_free_left, get_allowance
from ledger.types.records import Account
from ledger.types.transaction import (
    CallContract,
    Delegate,
    Propose,
    RegisterAgent,
    SignedTransaction,
    Transaction,
    Transfer,
)

NO_FREE_METERING = Rejected(
    Reason.FEE_TOO_LOW,
    "no free metering transaction is left in this epoch: offer a fee or add stake",
)

_SIGNATURE_FAULTS = (  # in the order of a transaction's claims
    Rejected(Reason.BAD_SIGNATURE, "the signature is not the sender's over this payload"),
    Rejected(Reason.BAD_SIGNATURE, "the fee signature is not the fee payer's"),
)

_envelopes = canonical.Decoder(SignedTransaction)
_payloads = canonical.Decoder(Transaction)


def check_transaction(raw: bytes, chain_id: bytes) -> CheckedTransaction | Rejected:
    """Return the decoded and verified transaction of `raw`, or why it can never be valid here."""
    opened = open_transaction(raw, chain_id)
    if isinstance(opened, Rejected):
        return opened
    for claim, fault in zip(opened.claims, _SIGNATURE_FAULTS, strict=False):
        if not verify_strict(*claim):
            return fault
    return opened.checked


def open_transaction(raw: bytes, chain_id: bytes) -> OpenedTransaction | Rejected:
    """Return what `raw` is if its signatures are genuine, or why its form is refused."""
    if len(raw) > TRANSACTION_BYTES_MAX:
        return Rejected(
            Reason.TOO_LARGE, f"{len(raw)} bytes: a transaction has at most {TRANSACTION_BYTES_MAX}"
        )
    try:
        envelope = _envelopes.decode(raw)
        payload = envelope.payload
        transaction = _payloads.decode(payload)
    except CodecError as error:
        return Rejected(Reason.MALFORMED, f"transaction {error}")
    refusal = _check_form(envelope, transaction, chain_id)
    if refusal is not None:
        return refusal
    message = domains.transaction_message(payload)
    claims: tuple[SignatureClaim, ...] = ((transaction.sender, message, envelope.signature),)
    if envelope.fee_signature is not None:
        claims = (*claims, (transaction.fee_payer, message, envelope.fee_signature))
    checked = CheckedTransaction(raw, domains.transaction_id(payload), transaction, len(raw))
    return OpenedTransaction(checked, claims)


def _check_form(
    envelope: SignedTransaction, transaction: Transaction, chain_id: bytes
) -> Rejected | None:
    if transaction.chain_id != chain_id:
        return Rejected(
            Reason.WRONG_CHAIN,
            f"made for chain {transaction.chain_id.hex()[:16]}, this is {chain_id.hex()[:16]}",
        )
    has_other_payer = transaction.fee_payer != transaction.sender
    if has_other_payer != (envelope.fee_signature is not None):
        return Rejected(
            Reason.MALFORMED, "a fee signature is needed if, and only if, another account pays"
        )
    body = transaction.body
    if isinstance(body, CODE_BODIES) and not is_contract_value(body.args):
        return Rejected(Reason.MALFORMED, "contract arguments are not canonical plain values")
    return None


def check_includable(
    checked: CheckedTransaction, sender: Account, payer: Account, height: int
) -> Rejected | None:
    """Tell whether the block at `height` may hold the transaction; None means yes.

    `sender` and `payer` are the accounts as the transaction would find them. Whether a free offer
    finds an allowance is for the caller to see.
    """
    transaction = checked.transaction
    if transaction.nonce != sender.nonce:
        return Rejected(
            Reason.BAD_NONCE, f"nonce {transaction.nonce}, the sender's next is {sender.nonce}"
        )
    if height > transaction.expiry_height:
        return Rejected(
            Reason.EXPIRED, f"void after height {transaction.expiry_height}, this is {height}"
        )
    if transaction.expiry_height > height + EXPIRY_HEIGHTS_MAX:
        return Rejected(
            Reason.OUT_OF_RANGE,
            f"expiry height {transaction.expiry_height} is more than {EXPIRY_HEIGHTS_MAX} ahead",
        )
    return _check_fee(checked, payer)


def _check_fee(checked: CheckedTransaction, payer: Account) -> Rejected | None:
    fee = checked.transaction.fee
    if is_free_offer(checked.transaction):
        return None
    required = compute_fee_required(checked)
    if fee < required:
        return Rejected(Reason.FEE_TOO_LOW, f"offers {fee} base units, at least {required} needed")
    if fee > payer.balance:
        return Rejected(
            Reason.INSUFFICIENT_FUNDS,
            f"the fee payer holds {payer.balance} base units and offers a fee of {fee}",
        )
    return None


def count_free(view: StateReader, sender: bytes) -> int:
    """Return how many transactions an account may still meter for free in this epoch."""
    unit = get_parameters(view).free_anchor_stake
    return count_free_left(get_allowance(view, sender), get_epoch(view).epoch, unit)


def compute_outlay(transaction: Transaction) -> int:
    """Return the base units that the transaction moves away from its sender, the fee apart."""
    match transaction.body:
        case Transfer(amount=amount) | CallContract(deposit=amount) | Delegate(amount=amount):
            return amount
        case RegisterAgent(bond=amount) | Propose(deposit=amount):
            return amount
        case _:
            return 0


def admit_transaction(
    checked: CheckedTransaction, view: StateReader, height: int, pending_nonce: int | None = None
) -> Rejected | None:
    """Tell whether the transaction is worth keeping for a block at `height` or later; None: yes.

    `pending_nonce` is the sender's next nonce once the transactions that already wait have run;
    None takes it from the state.
    """
    transaction = checked.transaction
    sender = get_account(view, transaction.sender)
    payer = get_account(view, transaction.fee_payer)
    if pending_nonce is not None:
        sender = Account(sender.balance, pending_nonce, sender.is_voter)
    refusal = check_includable(checked, sender, payer, height)
    if refusal is not None:
        return refusal
    if is_free_offer(transaction) and not count_free(view, transaction.sender):
        return NO_FREE_METERING
    outlay = compute_outlay(transaction)
    pays_own_fee = transaction.fee_payer == transaction.sender
    needed = outlay + transaction.fee if pays_own_fee else outlay
    if outlay and needed > sender.balance:
        return Rejected(
            Reason.INSUFFICIENT_FUNDS,
            f"the sender holds {sender.balance} base units and needs {needed}",
        )
    return None
