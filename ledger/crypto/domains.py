"""What a signature is over: every kind of message has its own prefix.

So no signature that was given for one purpose can be shown as one for another.
"""

import enum
import struct

from ledger.crypto.hashing import sha256

TRANSACTION_PREFIX = b"ssp/tx/1\0"
TRANSACTION_ID_PREFIX = b"ssp/tx-id/1\0"
VOTE_PREFIX = b"ssp/vote/1\0"
HEADER_PREFIX = b"ssp/header/1\0"
CONTRACT_ADDRESS_PREFIX = b"ssp/contract/1\0"
COIN_ID_PREFIX = b"ssp/coin/1\0"
CHAIN_ID_PREFIX = b"ssp/chain/1\0"
POSSESSION_PREFIX = b"ssp/possession/1\0"
GRANT_PREFIX = b"ssp/grant/1\0"
GRANT_ID_PREFIX = b"ssp/grant-id/1\0"
SESSION_TOKEN_PREFIX = b"ssp/session/1\0"
MEASUREMENT_PREFIX = b"ssp/measurement/1\0"
AGENT_SET_PREFIX = b"ssp/set/1\0"
BEACON_PREFIX = b"ssp/beacon/1"
PROPOSAL_ID_PREFIX = b"ssp/proposal/1\0"


READING_BATCH_PREFIX = b"ssp/batch/1\0"
QUOTE_PREFIX = b"ssp/quote/1\0"
VOUCHER_PREFIX = b"ssp/voucher/1\0"

NO_HASH = bytes(32)  # what a vote to skip a slot carries


class VoteKind(enum.IntEnum):
    """The three votes of Slot-Simplex (consensus specification 1.3)."""

    NOTARIZE = 1
    NULLIFY = 2
    FINALIZE = 3


def transaction_message(payload: bytes) -> bytes:
    """Return the bytes that sender and fee payer sign for a transaction's canonical payload."""
    return TRANSACTION_PREFIX + payload


def transaction_id(payload: bytes) -> bytes:
    """Return a transaction's 32-byte id: over the payload alone, so re-signing does not change it."""
    return sha256(TRANSACTION_ID_PREFIX + payload)


def vote_message(
    chain_id: bytes, kind: VoteKind, epoch: int, slot: int, block_hash: bytes
) -> bytes:
    """Return the bytes of a vote (consensus specification 1.3): fixed width, big-endian."""
    return VOTE_PREFIX + chain_id + struct.pack(">BIQ", kind, epoch, slot) + block_hash


def possession_message(chain_id: bytes, node_id: bytes) -> bytes:
    """Return the bytes by which a key's holder lets this node, and no other, register the key."""
    return POSSESSION_PREFIX + chain_id + node_id


def grant_message(payload: bytes) -> bytes:
    """Return the bytes that an issuer signs for a grant's canonical payload."""
    return GRANT_PREFIX + payload


def grant_id(payload: bytes) -> bytes:
    """Return a grant's 32-byte id, by which it is revoked: over the payload alone."""
    return sha256(GRANT_ID_PREFIX + payload)


def session_token_message(payload: bytes) -> bytes:
    """Return the bytes that a node signs for the canonical payload of a session token."""
    return SESSION_TOKEN_PREFIX + payload


def reading_batch_message(payload: bytes) -> bytes:
    """Return the bytes that a metering key signs for a reading batch's canonical payload."""
    return READING_BATCH_PREFIX + payload


def quote_message(payload: bytes) -> bytes:
    """Return the bytes that a seller signs for a quote's canonical payload."""
    return QUOTE_PREFIX + payload


def voucher_message(payload: bytes) -> bytes:
    """Return the bytes that a payer signs for a voucher's canonical payload."""
    return VOUCHER_PREFIX + payload


def measurement_message(payload: bytes) -> bytes:
    """Return the bytes that a metering key signs for a measurement record's canonical payload."""
    return MEASUREMENT_PREFIX + payload


def header_hash(header: bytes) -> bytes:
    """Return the 32-byte hash that names a block, over its header's canonical bytes."""
    return sha256(HEADER_PREFIX + header)


def contract_address(deployer: bytes, nonce: int) -> bytes:
    """Return the 32-byte address of the contract that `deployer` creates with this nonce."""
    return sha256(CONTRACT_ADDRESS_PREFIX + deployer + struct.pack(">Q", nonce))


def coin_id(issuer: bytes, nonce: int) -> bytes:
    """Return the 32-byte id of the coin that `issuer` creates with this nonce."""
    return sha256(COIN_ID_PREFIX + issuer + struct.pack(">Q", nonce))


def proposal_id(proposer: bytes, nonce: int) -> bytes:
    """Return the 32-byte id of the proposal that `proposer` makes with this nonce."""
    return sha256(PROPOSAL_ID_PREFIX + proposer + struct.pack(">Q", nonce))


def agent_set_hash(agent_set: bytes) -> bytes:
    """Return the 32-byte hash that names an epoch's agents, over their canonical bytes."""
    return sha256(AGENT_SET_PREFIX + agent_set)


def next_beacon(beacon: bytes, reveal: bytes) -> bytes:
    """Return the beacon after a block whose proposer revealed `reveal` (parameters 2.1)."""
    return sha256(BEACON_PREFIX + beacon + reveal)


def chain_id(genesis: bytes) -> bytes:
    """Return the 32-byte id of the chain that starts from this canonical genesis."""
    return sha256(CHAIN_ID_PREFIX + genesis)
