"""What a node hands out to prove that something is final: a block, what it did, what its state holds."""

from typing import Annotated

import msgspec
from msgspec import Meta

from ledger.params import HEADER_BYTES_MAX, PROOF_HEADERS_MAX
from ledger.state.commitment import StateProof
from ledger.types.primitives import Counter, Hash

SET_CHANGES_MAX = 10_000  # more than a year of hourly ones

# RFC 9162 paths: a block holds at most 2,000 transactions, which is a tree of 11 levels.
AuditPath = Annotated[tuple[Hash, ...], Meta(max_length=11)]

Descendants = Annotated[
    tuple[Annotated[bytes, Meta(max_length=HEADER_BYTES_MAX)], ...],
    Meta(max_length=PROOF_HEADERS_MAX),
]


class _Evidence(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    pass


class SetChange(_Evidence, frozen=True):
    """An epoch's end block that hands over to other agents, and their canonical `AgentSet`.

    Certificate and descendants are the end block's, as in `AnchorEvidence`.
    """

    header: bytes
    certificate: bytes
    descendants: Descendants
    next_set: bytes


SetChanges = Annotated[tuple[SetChange, ...], Meta(max_length=SET_CHANGES_MAX)]


class AnchorEvidence(_Evidence, frozen=True):
    """A final transaction, its outcome, and their audit paths into the header of their block.

    Bytes are canonical: transaction (`SignedTransaction`), outcome, header, finalization certificate
    and the headers from the block's child to the one that the certificate is about; there are none
    when it is about the block itself. Transaction and outcome stand at the same `position` of `count`.
    `set_changes` lead from the genesis to the agents that made the block final.
    """

    transaction: bytes
    outcome: bytes
    position: Counter
    count: Counter
    transaction_path: AuditPath
    outcome_path: AuditPath
    header: bytes
    certificate: bytes
    descendants: Descendants
    set_changes: SetChanges = ()


class StateEvidence(_Evidence, frozen=True):
    """What stands under a key of the state behind a final block; None: nothing does."""

    key: bytes
    value: bytes | None
    proof: StateProof
    header: bytes
    certificate: bytes
    descendants: Descendants
    set_changes: SetChanges = ()
