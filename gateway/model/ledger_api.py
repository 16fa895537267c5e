"""What the ledger process answers on `ss/v1/<gw>/ledger/request/<verb>`: one reply struct a verb.

Bytes travel as hexadecimal text, amounts and heights as integers.

    status       {}                                   -> StatusReply
    account      {address}                            -> AccountReply
    submit       {raw}                                -> SubmitReply
    transaction  {id}                                 -> TransactionReply
    evidence     {id}                                 -> EvidenceReply
    block        {height}                             -> BlockReply
    device       {device_id}                          -> DeviceReply
    query        {contract, method, args}             -> QueryReply
    identity     {address}                            -> IdentityReply
    revocation   {id}                                 -> RevocationReply
    software     {id}                                 -> SoftwareReply
    coin         {id, address}                        -> CoinReply
    peers        {}                                   -> PeersReply
    culprits     {}                                   -> CulpritsReply
"""

from typing import Literal

import msgspec

LIGHT_REFUSAL = "this gateway follows headers only (role light): ask a full node"


class StatusReply(msgspec.Struct, frozen=True):
    """How the chain is doing; `time_ms` is the newest block's.

    `finality_ms` is how long it took from when the node had the newest block until that was final.
    `problem` is why the chain does not go on here, in one line, or empty. Up to `pruned_height` blocks are not kept.
    """

    chain_id: str
    height: int
    hash: str
    time_ms: int
    slot_ms: int
    epoch: int
    slot: int
    agents: int
    pending: int
    state: str
    clock: str
    finality_ms: int
    problem: str = ""
    pruned_height: int = 0


class AccountReply(msgspec.Struct, frozen=True):
    """An account; `pending_nonce` counts what waits in the mempool too."""

    balance: int
    nonce: int
    pending_nonce: int


class SubmitReply(msgspec.Struct, frozen=True):
    """The id under which a transaction was admitted."""

    id: str


class EventReply(msgspec.Struct, frozen=True):
    """A contract's event; `data` is the hexadecimal of canonical MessagePack."""

    contract: str
    name: str
    data: str


class TransactionReply(msgspec.Struct, frozen=True):
    """Where a transaction stands; the rest is set once it is final."""

    status: Literal["unknown", "pending", "final"]
    height: int = 0
    applied: bool = False
    reason: str = ""
    gas_used: int = 0
    fee_paid: int = 0
    result: str = ""
    events: tuple[EventReply, ...] = ()


class EvidenceReply(msgspec.Struct, frozen=True):
    """A final transaction's place in the chain: canonical bytes of the light client's evidence."""

    height: int
    evidence: str


class PeerReply(msgspec.Struct, frozen=True):
    """A node that is connected, or is not and why. `direction`: `to` it, `from` it, or `none`."""

    node: str
    direction: str
    address: str
    flags: tuple[str, ...] = ()
    problem: str = ""


class PeersReply(msgspec.Struct, frozen=True):
    """The other nodes; `dropped` messages were over a budget or malformed."""

    peers: tuple[PeerReply, ...]
    dropped: int
    heard_bytes: int
    said_bytes: int


class CulpritsReply(msgspec.Struct, frozen=True):
    """Canonical `ReportEvidence` bodies, in hexadecimal, that should go into the chain."""

    reports: tuple[str, ...]


class BlockReply(msgspec.Struct, frozen=True):
    """One block's header in words, and its transactions' ids.

    `parent_slot` is 0 for an epoch's first block. `skipped` are the agents that led the slots between its parent's
    and its own, in order, the last 64 at most; none where the node does not keep their epoch's set.
    """

    height: int
    hash: str
    parent_hash: str
    time_ms: int
    epoch: int
    slot: int
    proposer: str
    state_root: str
    signers: int
    transactions: tuple[str, ...]
    skipped: tuple[str, ...] = ()
    parent_slot: int = 0


class DeviceReply(msgspec.Struct, frozen=True):
    """A device as the chain knows it."""

    registered: bool
    next_sequence: int = 1
    last_anchor: str = ""
    profile_hash: str = ""


class QueryReply(msgspec.Struct, frozen=True):
    """A query's result as the hexadecimal of canonical MessagePack, or why the contract gave none."""

    ok: bool
    result: str = ""
    refusal: str = ""


class IdentityReply(msgspec.Struct, frozen=True):
    """A node as the chain knows it. `time_ms` is the newest block's, against which a lease counts."""

    registered: bool
    time_ms: int
    metering: str = ""
    owner: str = ""
    retired_height: int = 0
    successor: str = ""
    lease_instance: str = ""
    lease_renewal: int = 0
    lease_until_ms: int = 0


class RevocationReply(msgspec.Struct, frozen=True):
    """A grant's revocation and what became of it; `state` is "none" where it was never revoked."""

    state: str
    by: str = ""
    subject: str = ""
    cause: str = ""
    note: str = ""
    height: int = 0
    statement: str = ""
    decision: str = ""
    decided_height: int = 0


class SoftwareReply(msgspec.Struct, frozen=True):
    """Whether a software measurement is on the chain's list."""

    listed: bool
    label: str = ""
    height: int = 0


class CoinReply(msgspec.Struct, frozen=True):
    """An IOT_Coin, and how many of its units an address holds."""

    exists: bool
    symbol: str = ""
    name: str = ""
    decimals: int = 0
    supply: int = 0
    issuer: str = ""
    balance: int = 0
