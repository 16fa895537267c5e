"""Names for the numbers and byte strings that must not be mixed up, with their limits."""

from typing import Annotated, NewType

from msgspec import Meta

from ledger.params import (
    AMOUNT_MAX,
    HASH_BYTES,
    PUBLIC_KEY_BYTES,
    READING_SALT_BYTES,
    SIGNATURE_BYTES,
    SIGNER_BITMAP_BYTES,
)

Height = NewType("Height", int)
Slot = NewType("Slot", int)

Amount = Annotated[int, Meta(ge=0, le=AMOUNT_MAX)]
Counter = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Integer = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Hash = Annotated[bytes, Meta(min_length=HASH_BYTES, max_length=HASH_BYTES)]
Address = Annotated[bytes, Meta(min_length=PUBLIC_KEY_BYTES, max_length=PUBLIC_KEY_BYTES)]
Signature = Annotated[bytes, Meta(min_length=SIGNATURE_BYTES, max_length=SIGNATURE_BYTES)]
SignerBitmap = Annotated[
    bytes, Meta(min_length=SIGNER_BITMAP_BYTES, max_length=SIGNER_BITMAP_BYTES)
]
Salt = Annotated[bytes, Meta(min_length=READING_SALT_BYTES, max_length=READING_SALT_BYTES)]
