"""The contents of full nodes' answers to a light node: canonical bytes that prove themselves.

Rule: none of these is believed because it was sent. `ledger.light.follower` judges each of them.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from ledger.light.evidence import AnchorEvidence, Descendants, SetChange
from ledger.network.light_messages import STATE_KEYS_MAX, TRANSACTIONS_ASKED_MAX
from ledger.params import BLOCK_TRANSACTIONS_MAX, REASON_LENGTH_MAX
from ledger.state.commitment import StateProof
from ledger.types.primitives import Counter

ENDS_IN_ANSWER_MAX = 32  # with 99 agents 15 KiB each, which is one answer


class _Answer(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    pass


class FinalHeader(_Answer, frozen=True):
    """A header and what makes its block final, as in `AnchorEvidence`."""

    header: bytes
    certificate: bytes
    descendants: Descendants


class HeadersAnswer(_Answer, frozen=True):
    """End blocks in order; `newest` is None while there are more of them to ask for."""

    ends: Annotated[tuple[SetChange, ...], Meta(max_length=ENDS_IN_ANSWER_MAX)]
    newest: FinalHeader | None


class ProvenValue(_Answer, frozen=True):
    """What stands under one of the keys that were asked for (None: nothing), and its proof."""

    value: bytes | None
    proof: StateProof


class StateAnswer(_Answer, frozen=True):
    """The values of the keys that were asked for, in their order, behind the newest final block."""

    final: FinalHeader
    values: Annotated[tuple[ProvenValue, ...], Meta(min_length=1, max_length=STATE_KEYS_MAX)]


class InclusionAnswer(_Answer, frozen=True):
    """Those of the transactions that are final, each without set changes: the asker has them.

    What is not among them was not final up to block `height`, as far as the answerer can be believed.
    """

    height: Counter
    found: Annotated[tuple[AnchorEvidence, ...], Meta(max_length=TRANSACTIONS_ASKED_MAX)]


class BlockAnswer(_Answer, frozen=True):
    """A final block: its header and all of its signed transactions."""

    final: FinalHeader
    transactions: Annotated[tuple[bytes, ...], Meta(max_length=BLOCK_TRANSACTIONS_MAX)]


class OfferAnswer(_Answer, frozen=True):
    """What became of a transaction that was offered; `reason` says why it was not taken."""

    is_taken: bool
    reason: Annotated[str, Meta(max_length=2 * REASON_LENGTH_MAX)]
