"""What a light node asks of full ones, and the shape of their answers: proofs, never mere words.

An answer's content is bytes that only `ledger.light` takes apart and judges.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from ledger.params import CONTRACT_KEY_BYTES_MAX, TRANSACTION_BYTES_MAX
from ledger.types.primitives import Counter, Hash

STATE_KEY_BYTES_MAX = 1 + 32 + CONTRACT_KEY_BYTES_MAX  # the longest key of the state
STATE_KEYS_MAX = 32  # proofs of 2 KiB each: far below the limit of an answer
TRANSACTIONS_ASKED_MAX = 16  # each with its header and certificate: 6 KiB with 99 agents
LIGHT_ANSWER_BYTES_MAX = 512 * 1024  # half a second of what a peer may send


class _Question(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """The shape that all of them share."""


class GetHeaders(_Question, frozen=True, tag=1):
    """Ask for the end blocks from `since_epoch` on that hand over to other agents, and the newest header.

    The end block of `through_epoch` is wanted even where it changes no agents. Answer: `HeadersAnswer`.
    """

    since_epoch: Counter
    through_epoch: Counter | None


class GetState(_Question, frozen=True, tag=2):
    """Ask what stands under keys of the newest final state, all behind one block. Answer: `StateAnswer`."""

    keys: Annotated[
        tuple[Annotated[bytes, Meta(min_length=1, max_length=STATE_KEY_BYTES_MAX)], ...],
        Meta(min_length=1, max_length=STATE_KEYS_MAX),
    ]


class GetInclusion(_Question, frozen=True, tag=3):
    """Ask which of these transactions are final. Answer: `InclusionAnswer`."""

    transactions: Annotated[tuple[Hash, ...], Meta(min_length=1, max_length=TRANSACTIONS_ASKED_MAX)]


class GetFinalBlock(_Question, frozen=True, tag=4):
    """Ask for the final block at a height. Answer: `BlockAnswer`."""

    height: Counter


class OfferTransaction(_Question, frozen=True, tag=5):
    """Ask to take a signed transaction and to pass it on. Answer: `OfferAnswer`."""

    raw: Annotated[bytes, Meta(max_length=TRANSACTION_BYTES_MAX + 256)]


LightQuestion = GetHeaders | GetState | GetInclusion | GetFinalBlock | OfferTransaction


class LightRequest(
    msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=37
):
    """A question; `number` is the asker's own and comes back with the answer."""

    number: Counter
    question: LightQuestion


class LightAnswer(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=38):
    """The answer to a request. None: it cannot be answered here, or not now."""

    number: Counter
    content: Annotated[bytes, Meta(max_length=LIGHT_ANSWER_BYTES_MAX)] | None


LightMessage = LightRequest | LightAnswer
