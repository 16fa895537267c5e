"""The chain's headers followed without the chain: who may make blocks final, and the newest final header.

Rule 1: a header counts once a quorum of the agents of its epoch made it final, and those agents are known by
the end blocks that lead to them from the genesis.
Rule 2: an answer is taken whole or not at all, and what is wrong with it is said in one line.
Rule 3: agents of long ago may sell their keys. After the trust period, or from the start where the operator
wishes, a checkpoint decides which chain is the true one: until it is met, nothing that was heard counts.
Rule 4: what is newest never becomes older: a header far behind it proves nothing about the present.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from ledger.codec.canonical import Decoder
from ledger.crypto.domains import header_hash
from ledger.errors import CodecError, Reason, Rejected
from ledger.light.answers import FinalHeader, HeadersAnswer
from ledger.light.evidence import SetChange
from ledger.light.finality import NotFinalError, TrustedSet
from ledger.light.snapshot import Checkpoint
from ledger.network.light_messages import GetHeaders
from ledger.params import DAY_MS, PROTOCOL_VERSION, UNBONDING_MS_MIN
from ledger.types.agent_set import AgentSet, hash_agent_set
from ledger.types.block import Header
from ledger.types.genesis import Genesis

# Whoever signs two chains within it loses its stake; later nothing keeps an old agent from lying.
TRUST_PERIOD_MS = UNBONDING_MS_MIN
# A peer that follows the chain is hardly ever further behind than this: about a minute of busy chain ...
STALE_BLOCKS = 20
STALE_HEARTBEATS = 3  # ... or this long on an idle one
SETS_KEPT = 256  # ten days of hourly changes: readings wait a week for their receipts

_FORK = (
    "the chain is forked, or keys were sold: move ledger/trail.db away and set ledger.checkpoint"
)

_headers = Decoder(Header)
_sets = Decoder(AgentSet)
_answers = Decoder(HeadersAnswer)


@dataclass(frozen=True, slots=True)
class VerifiedHeader:
    """A header that is final, and the nodes whose votes made it so."""

    header: Header
    hash: bytes
    final: FinalHeader
    signers: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Trail:
    """What a follower starts from again: the newest end blocks, oldest first, and the newest header.

    `met` is the text of the checkpoint that was met.
    """

    ends: tuple[SetChange, ...] = ()
    newest: FinalHeader | None = None
    met: str = ""


@dataclass(frozen=True, slots=True)
class Taken:
    """What an answer brought: end blocks to be kept, and whether nothing more is known to follow them."""

    ends: tuple[SetChange, ...]
    is_complete: bool


@dataclass(frozen=True, slots=True)
class _Draft:
    """What an answer would make of the follower."""

    sets: tuple[TrustedSet, ...]
    ends: tuple[SetChange, ...]
    end_height: int
    met_ms: int | None


class HeaderFollower:
    """Follows one chain. The caller keeps what `take_headers` returns, and `newest`, on disk."""

    def __init__(
        self, genesis: Genesis, checkpoint: Checkpoint | None = None, trail: Trail | None = None
    ) -> None:
        """Raises `CodecError` for a trail that is damaged: certificates of end blocks are not checked again."""
        trail = trail or Trail()
        self._genesis = genesis
        self._first = TrustedSet.of_genesis(genesis)
        self.chain_id = self._first.chain_id
        self._sets: tuple[TrustedSet, ...] = (self._first,)
        self._end_height = 0
        self._trusted_ms = genesis.time_ms
        self.newest: VerifiedHeader | None = None
        self.fork = ""  # the line about two final blocks of one height, once they were seen
        self.met = trail.met
        self._restore(trail)
        self._checkpoint = checkpoint
        self._unkept: tuple[SetChange, ...] = ()  # while the checkpoint is not met
        is_met = checkpoint is None or trail.met == str(checkpoint)
        is_behind = checkpoint is not None and checkpoint.epoch < self.epoch
        self._is_pending = not (is_met or (is_behind and self.newest is not None))
        self._before = (self._sets, self._end_height)

    @property
    def epoch(self) -> int:
        """The newest epoch of which the agents are known to be right."""
        newest = 0 if self.newest is None else self.newest.header.epoch
        return max(newest, self._sets[-1].since_epoch)

    @property
    def agents(self) -> tuple[bytes, ...]:
        """The node ids of the newest agents that are trusted."""
        return self._sets[-1].nodes

    @property
    def is_ready(self) -> bool:
        """Whether something is known of the present: a header, and no checkpoint to be met first."""
        return self.newest is not None and not self._is_pending

    def question(self) -> GetHeaders:
        """Return what to ask next."""
        through = self._checkpoint.epoch if self._is_pending and self._checkpoint else None
        return GetHeaders(self.epoch, through)

    def question_again(self) -> GetHeaders:
        """Return the question for all changes since the newest agents took over.

        Somebody may have kept a change back, and agents old and new have signed the header that he gave.
        """
        return msgspec.structs.replace(self.question(), since_epoch=self._sets[-1].since_epoch)

    def check_trust(self, now_ms: int) -> Rejected | None:
        """Tell whether too much time has passed to believe the agents that were trusted last."""
        age_ms = now_ms - self._trusted_ms
        if self._is_pending or age_ms <= TRUST_PERIOD_MS:
            return None
        since = "the genesis is" if self.newest is None else "the newest header known here is"
        return Rejected(
            Reason.TOO_LATE,
            f"{since} {age_ms // DAY_MS} days old, and agents are trusted for {TRUST_PERIOD_MS // DAY_MS}: set"
            " ledger.checkpoint to what `smartshare chain checkpoint` prints on a node that you trust",
        )

    def take_headers(self, content: bytes, now_ms: int) -> Taken | Rejected:
        """Take the answer to `question()`; `Rejected` is what is wrong with it, and nothing has changed."""
        refusal = self.check_trust(now_ms)
        if refusal is not None:
            return refusal
        try:
            answer = _answers.decode(content)
            draft = self._walk(answer.ends)
        except (CodecError, NotFinalError) as error:
            return Rejected(Reason.BAD_BLOCK, f"an end block is not final: {error}")
        if isinstance(draft, Rejected):
            return draft
        if not answer.ends and answer.newest is None:
            return Rejected(Reason.MALFORMED, "neither an end block nor a newest header")
        if self._is_pending and draft.met_ms is None and answer.newest is not None:
            return Rejected(
                Reason.BAD_BLOCK, f"its chain does not stand on the checkpoint {self._checkpoint}"
            )
        if draft.met_ms is not None and now_ms - draft.met_ms > TRUST_PERIOD_MS:
            detail = (
                f"the checkpoint is {(now_ms - draft.met_ms) // DAY_MS} days old: set a newer one"
            )
            return Rejected(Reason.TOO_LATE, detail)
        return self._adopt(draft, answer.newest)

    def forget_unkept(self) -> None:
        """Forget what was heard while the checkpoint is not met: the next peer starts from before."""
        if self._is_pending:
            self._sets, self._end_height = self._before
            self._unkept = ()

    def verify(self, final: FinalHeader) -> VerifiedHeader | Rejected:
        """Return a final header of any epoch whose agents are known, or why it is none; it changes nothing."""
        try:
            header = _headers.decode(final.header)
        except CodecError as error:
            return Rejected(Reason.MALFORMED, f"a header {error}")
        if header.chain_id != self.chain_id:
            return Rejected(
                Reason.WRONG_CHAIN, f"a header is of chain {header.chain_id.hex()[:16]}"
            )
        if header.version != PROTOCOL_VERSION or header.seal:
            return Rejected(Reason.BAD_BLOCK, "a header is not one of a block as it is known here")
        trusted = self._find_set(header.epoch)
        if trusted is None:
            detail = (
                f"block {header.height} is of epoch {header.epoch}, whose agents are no longer kept"
            )
            return Rejected(Reason.TOO_LATE, detail)
        try:
            signers = trusted.check_final(final.header, final.certificate, final.descendants)
        except NotFinalError as error:
            return Rejected(Reason.BAD_SIGNATURE, f"block {header.height} is not final: {error}")
        return VerifiedHeader(header, header_hash(final.header), final, signers)

    def take(self, verified: VerifiedHeader) -> Rejected | None:
        """Let a verified header be the newest where it is; `Rejected` where it contradicts that one."""
        newest, header = self.newest, verified.header
        if newest is None or header.height > newest.header.height:
            if newest is not None and header.epoch < newest.header.epoch:
                return self._note_fork(verified, newest)
            self.newest = verified
            self._trusted_ms = max(self._trusted_ms, header.time_ms)
        elif header.height == newest.header.height and verified.hash != newest.hash:
            return self._note_fork(verified, newest)
        return None

    def check_fresh(self, verified: VerifiedHeader) -> Rejected | None:
        """Tell whether a header is too far behind the newest one to prove anything about the present."""
        if self.newest is None:
            return None
        newest, header = self.newest.header, verified.header
        blocks, ms = newest.height - header.height, newest.time_ms - header.time_ms
        if blocks <= STALE_BLOCKS and ms <= STALE_HEARTBEATS * self._genesis.heartbeat_ms:
            return None
        detail = f"block {header.height} is not new: block {newest.height} is final"
        return Rejected(Reason.TOO_LATE, detail)

    def _restore(self, trail: Trail) -> None:
        for end in trail.ends:
            agents, header = _sets.decode(end.next_set), _headers.decode(end.header)
            if hash_agent_set(agents) != header.next_set_hash:
                raise CodecError(f"the agents that block {header.height} names are others")
            self._sets = (*self._sets, self._first.named_by(agents))[-SETS_KEPT:]
            self._end_height = header.height
            self._trusted_ms = max(self._trusted_ms, header.time_ms)
        if trail.newest is None:
            return
        verified = self.verify(trail.newest)
        if isinstance(verified, Rejected):
            raise CodecError(str(verified))
        self.take(verified)

    def _walk(self, ends: Sequence[SetChange]) -> _Draft | Rejected:
        """Follow end blocks from what is trusted. Raises `NotFinalError`, `CodecError`."""
        sets, height, met_ms = self._sets, self._end_height, None
        for end in ends:
            header = _headers.decode(end.header)
            if header.height <= height or header.seal:
                return Rejected(Reason.BAD_BLOCK, "its end blocks do not follow each other")
            sets, height = (*sets, sets[-1].after(end)), header.height
            if self._checkpoint is not None and header.epoch == self._checkpoint.epoch:
                if header_hash(end.header) != self._checkpoint.hash:
                    detail = f"its chain does not stand on the checkpoint {self._checkpoint}"
                    return Rejected(Reason.BAD_BLOCK, detail)
                met_ms = header.time_ms
        return _Draft(sets, tuple(ends), height, met_ms)

    def _adopt(self, draft: _Draft, final: FinalHeader | None) -> Taken | Rejected:
        before = (self._sets, self._end_height)
        self._sets, self._end_height = draft.sets, draft.end_height
        verified = None if final is None else self.verify(final)
        refusal = verified if isinstance(verified, Rejected) else self._check_newest(draft)
        if refusal is None and isinstance(verified, VerifiedHeader):
            refusal = self._check_behind_ends(verified) or self.take(verified)
        if refusal is not None:
            self._sets, self._end_height = before
            return refusal
        self._sets = self._sets[-SETS_KEPT:]
        return Taken(self._settle(draft), final is not None)

    def _settle(self, draft: _Draft) -> tuple[SetChange, ...]:
        """Return the end blocks that may be kept: none before the checkpoint is met, then all."""
        if draft.met_ms is not None:
            self._is_pending = False
            self.met = str(self._checkpoint)
            self._trusted_ms = max(self._trusted_ms, draft.met_ms)
        self._unkept += draft.ends
        if self._is_pending:
            return ()
        kept, self._unkept = self._unkept, ()
        return kept

    def _check_newest(self, draft: _Draft) -> Rejected | None:
        """Tell whether the newest header stands under the agents that an answer brought, too."""
        newest = self.newest
        if (
            newest is None
            or not draft.ends
            or isinstance(self.verify(newest.final), VerifiedHeader)
        ):
            return None
        self.fork = (
            f"block {newest.header.height} ({newest.hash.hex()[:16]}) was final, and an end block before it hands"
            f" over to other agents: {_FORK}"
        )
        return Rejected(Reason.BAD_BLOCK, self.fork)

    def _check_behind_ends(self, verified: VerifiedHeader) -> Rejected | None:
        if verified.header.height < self._end_height:
            return Rejected(
                Reason.BAD_BLOCK, "its newest header is older than an end block that it gave"
            )
        return None

    def _note_fork(self, verified: VerifiedHeader, newest: VerifiedHeader) -> Rejected:
        self.fork = (
            f"block {verified.header.height} ({verified.hash.hex()[:16]}) and block {newest.header.height}"
            f" ({newest.hash.hex()[:16]}) contradict each other, and agents made both final: {_FORK}"
        )
        return Rejected(Reason.BAD_BLOCK, self.fork)

    def _find_set(self, epoch: int) -> TrustedSet | None:
        for trusted in reversed(self._sets):
            if trusted.since_epoch <= epoch:
                return trusted
        return None
