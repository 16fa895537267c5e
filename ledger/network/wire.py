"""The bytes between nodes: one canonical MessagePack message, with its limit.

Beside what consensus says (`ledger.types.messages`), nodes pass on transactions and each other's
addresses, hand out snapshots, and answer light nodes (`ledger.network.light_messages`).
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from ledger.codec.canonical import Decoder, encode
from ledger.errors import CodecError, Reason, Rejected
from ledger.network.light_messages import LightMessage
from ledger.params import TRANSACTION_BYTES_MAX
from ledger.types.messages import Message
from ledger.types.primitives import Address, Counter

PEER_MESSAGE_BYTES_MAX = 1024 * 1024  # one MQTT packet of the peer listener
TRANSACTIONS_IN_MESSAGE_MAX = 256
ADDRESSES_IN_MESSAGE_MAX = 32
SNAPSHOT_PART_BYTES = 512 * 1024
HOST_CHARS_MAX = 253  # a DNS name

_SignedTransactionBytes = Annotated[bytes, Meta(max_length=TRANSACTION_BYTES_MAX + 256)]


class Transactions(
    msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=32
):
    """Signed transactions, as their senders made them."""

    raw: Annotated[
        tuple[_SignedTransactionBytes, ...],
        Meta(min_length=1, max_length=TRANSACTIONS_IN_MESSAGE_MAX),
    ]


class PeerAddress(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """Where a node is said to listen: a hint, proven only by its handshake."""

    node: Address
    host: Annotated[
        str, Meta(min_length=1, max_length=HOST_CHARS_MAX, pattern=r"^[A-Za-z0-9.:_-]+\Z")
    ]
    port: Annotated[int, Meta(ge=1, le=65_535)]


class Addresses(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=33):
    """Peers that the sender knows."""

    peers: Annotated[tuple[PeerAddress, ...], Meta(max_length=ADDRESSES_IN_MESSAGE_MAX)]


class GetSnapshot(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=34):
    """A question for a part of a snapshot, from `offset` on: of an epoch's, or of the newest one."""

    epoch: Counter | None
    offset: Counter


class SnapshotPart(
    msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=35
):
    """Bytes of an epoch's snapshot; `size` is the whole one's. Nothing of 0 bytes: it is not here."""

    epoch: Counter
    size: Counter
    offset: Counter
    data: Annotated[bytes, Meta(max_length=SNAPSHOT_PART_BYTES)]


class Pruned(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=36):
    """The answer to a question for blocks at or below `height`: they are no longer kept."""

    height: Counter


SnapshotMessage = GetSnapshot | SnapshotPart | Pruned
NetworkMessage = Message | Transactions | Addresses | SnapshotMessage | LightMessage
_decoder: Decoder[NetworkMessage] = Decoder(NetworkMessage)  # type: ignore[arg-type]  # a union is no class


def encode_message(message: NetworkMessage) -> bytes:
    """Return a message's canonical bytes."""
    return encode(message)


def decode_message(raw: bytes) -> NetworkMessage | Rejected:
    """Return the message in its one canonical form, or why it is none."""
    if len(raw) > PEER_MESSAGE_BYTES_MAX:
        detail = f"a peer's message of {len(raw)} bytes; at most {PEER_MESSAGE_BYTES_MAX}"
        return Rejected(Reason.TOO_LARGE, detail)
    try:
        return _decoder.decode(raw)
    except CodecError as error:
        return Rejected(Reason.MALFORMED, f"a peer's message {error}")
