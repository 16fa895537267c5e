"""What parties sign for each other outside a block: batches of readings, quotes and payment vouchers.

Each is signed over its own prefix (`domains`) and its canonical bytes, which are kept verbatim.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from ledger.params import ANCHOR_READINGS_MAX
from ledger.types.primitives import Address, Amount, Counter, Hash
from ledger.types.reading import UnitName

OFFER_BYTES_MAX = 1024  # the largest of them is about 300 bytes

ItemName = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[a-z0-9][a-z0-9._/-]*\Z")]


class _Signable(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    pass


class ReadingBatch(_Signable, frozen=True):
    """`signer` stands for `count` consecutive readings of a device, before a block holds their anchor.

    `root` is the RFC 9162 Merkle root over the readings' canonical bytes, as in an anchor.
    """

    chain_id: Hash
    signer: Address
    device_id: Hash
    profile_hash: Hash
    first: Counter
    count: Annotated[int, Meta(ge=1, le=ANCHOR_READINGS_MAX)]
    time_first_ms: Counter
    time_last_ms: Counter
    root: Hash


class Quote(_Signable, frozen=True):
    """`seller` offers `item` at `price` base units a `unit`. `nonce` tells two equal offers apart."""

    chain_id: Hash
    seller: Address
    item: ItemName
    price: Amount
    unit: UnitName
    valid_until_ms: Counter
    nonce: Hash


class Voucher(_Signable, frozen=True):
    """`payer` owes `payee` `amount` base units in all on `channel` (a contract's address).

    A later voucher of a channel has a higher `sequence` and at least the amount of the one before; the
    payee redeems one of them, at or before block `expiry_height`.
    """

    chain_id: Hash
    payer: Address
    payee: Address
    channel: Hash
    amount: Amount
    sequence: Counter
    expiry_height: Counter
