"""The slot machine, read as scripts: what happens, and what the machine then wants done."""

from dataclasses import replace
from typing import Any

import pytest

from ledger.consensus.certificate import NO_SIGNERS, build_certificate
from ledger.consensus.effects import (
    BuildBlock,
    CommitBlock,
    Effect,
    Halt,
    PersistCertificate,
    PersistProposal,
    SignVote,
    ValidateBlock,
    WakeAt,
)
from ledger.consensus.inputs import (
    BlockBuilt,
    BlockCommitted,
    BlockRefused,
    BlockValidated,
    Input,
    Now,
    SignerUnavailable,
    Started,
    Ticked,
    VoteRefused,
    VoteSigned,
)
from ledger.consensus.machine import SIGNER_RETRY_MS, apply, initial_state
from ledger.consensus.state import Proposal, Rules, Step, Tip
from ledger.crypto.domains import NO_HASH, VoteKind
from ledger.params import PROTOCOL_VERSION
from ledger.types.block import Block, Certificate, Header, Vote

SLOT_MS, HEARTBEAT_MS = 3_000, 30_000
TIP = Tip(height=4, slot=6, hash=b"p" * 32, time_ms=100_000, signers=NO_SIGNERS)
RULES = Rules(b"c" * 32, 0, SLOT_MS, HEARTBEAT_MS, (b"k" * 32,), 0)
AT_TIP = Now(wall_ms=TIP.time_ms, monotonic_ms=50)
LATE = Now(wall_ms=TIP.time_ms + HEARTBEAT_MS, monotonic_ms=50)


def proposal(slot: int = 7, parent: bytes = TIP.hash, name: bytes = b"b") -> Proposal:
    header = Header(
        version=PROTOCOL_VERSION,
        chain_id=RULES.chain_id,
        epoch=0,
        slot=slot,
        height=5,
        parent_slot=6,
        parent_hash=parent,
        time_ms=103_000,
        proposer=bytes(32),
        seal=False,
        transactions_root=NO_HASH,
        state_root=NO_HASH,
        outcomes_root=NO_HASH,
        reveal=NO_HASH,
        parent_signers=NO_SIGNERS,
        next_set_hash=NO_HASH,
    )
    return Proposal(header, name * 32, Block(b"header", ()))


BLOCK = proposal()


def vote(kind: VoteKind, slot: int = 7, block: bytes = BLOCK.hash) -> Vote:
    return Vote(kind, 0, slot, NO_HASH if kind is VoteKind.NULLIFY else block, 0, bytes(64))


def certificate(kind: VoteKind, slot: int = 7) -> Certificate:
    return build_certificate([vote(kind, slot)])


def sign(kind: VoteKind, slot: int = 7, block: bytes = BLOCK.hash) -> SignVote:
    return SignVote(kind, 0, slot, NO_HASH if kind is VoteKind.NULLIFY else block)


class Script:
    """Feeds inputs and compares the effects."""

    def __init__(self) -> None:
        self.state = initial_state(RULES, TIP)

    def when(self, happened: Input, *, then: tuple[Effect, ...]) -> None:
        self.state, effects = apply(self.state, happened)
        assert effects == then

    def started(self, now: Now = LATE, *log: Proposal | Certificate) -> "Script":
        blocks = tuple(entry for entry in log if isinstance(entry, Proposal))
        certificates = tuple(entry for entry in log if isinstance(entry, Certificate))
        self.state, _ = apply(self.state, Started(blocks, certificates, now))
        return self

    def built(self) -> "Script":
        self.state, _ = apply(self.state, Ticked(has_work=True, now=LATE))
        self.state, _ = apply(self.state, BlockBuilt(BLOCK))
        return self


def test_a_block_from_the_pace_to_its_commit():
    script = Script()
    script.when(Started((), (), LATE), then=(WakeAt(50),))
    script.when(Ticked(has_work=True, now=LATE), then=(BuildBlock(7, TIP, LATE.wall_ms),))
    script.when(BlockBuilt(BLOCK), then=(PersistProposal(BLOCK), sign(VoteKind.NOTARIZE)))
    script.when(
        VoteSigned(vote(VoteKind.NOTARIZE), LATE),
        then=(PersistCertificate(certificate(VoteKind.NOTARIZE)), sign(VoteKind.FINALIZE)),
    )
    script.when(
        VoteSigned(vote(VoteKind.FINALIZE), LATE),
        then=(CommitBlock(BLOCK, certificate(VoteKind.FINALIZE)),),
    )
    new_tip = replace(TIP, height=5, slot=7, hash=BLOCK.hash, time_ms=LATE.wall_ms)
    script.when(BlockCommitted(new_tip, LATE), then=(WakeAt(50 + SLOT_MS),))
    assert (script.state.slot, script.state.tip, script.state.step) == (8, new_tip, Step.WAITING)


class TestPace:
    def test_with_work_a_block_waits_for_the_block_interval(self):
        script = Script()
        script.when(Started((), (), AT_TIP), then=(WakeAt(50 + SLOT_MS),))
        early = Now(TIP.time_ms + 2_999, 50 + 2_999)
        script.when(Ticked(has_work=True, now=early), then=(WakeAt(50 + SLOT_MS),))
        due = Now(TIP.time_ms + 3_000, 50 + 3_000)
        script.when(Ticked(has_work=True, now=due), then=(BuildBlock(7, TIP, 103_000),))

    def test_without_work_a_block_waits_for_the_heartbeat(self):
        script = Script().started(AT_TIP)
        due = Now(TIP.time_ms + 3_000, 50 + 3_000)
        script.when(Ticked(has_work=False, now=due), then=(WakeAt(50 + HEARTBEAT_MS),))
        beat = Now(TIP.time_ms + HEARTBEAT_MS, 50 + HEARTBEAT_MS)
        script.when(Ticked(has_work=False, now=beat), then=(BuildBlock(7, TIP, beat.wall_ms),))

    def test_work_that_comes_while_idle_is_taken_at_once(self):
        script = Script().started(AT_TIP)
        later = Now(TIP.time_ms + 9_000, 50 + 9_000)
        script.when(Ticked(has_work=True, now=later), then=(BuildBlock(7, TIP, later.wall_ms),))

    def test_a_wall_clock_far_behind_the_chain_does_not_stop_it(self):
        script = Script()
        boot = Now(wall_ms=0, monotonic_ms=50)
        script.when(Started((), (), boot), then=(WakeAt(50 + SLOT_MS),))
        due = Now(wall_ms=SLOT_MS, monotonic_ms=50 + SLOT_MS)
        # The block's time still moves on from its parent's.
        script.when(Ticked(has_work=True, now=due), then=(BuildBlock(7, TIP, 103_000),))

    def test_a_wall_clock_far_ahead_is_believed_and_waits_for_nothing(self):
        script = Script()
        ahead = Now(wall_ms=10**12, monotonic_ms=50)
        script.when(Started((), (), ahead), then=(WakeAt(50),))
        script.when(Ticked(has_work=False, now=ahead), then=(BuildBlock(7, TIP, 10**12),))

    def test_ticks_while_a_block_is_under_way_change_nothing(self):
        script = Script().started()
        script.when(Ticked(has_work=True, now=LATE), then=(BuildBlock(7, TIP, LATE.wall_ms),))
        script.when(Ticked(has_work=True, now=LATE), then=())


class TestRecovery:
    def test_a_block_in_the_log_is_proposed_again_and_no_other(self):
        script = Script()
        script.when(Started((BLOCK,), (), LATE), then=(ValidateBlock(BLOCK),))
        script.when(Ticked(has_work=True, now=LATE), then=())
        script.when(BlockValidated(BLOCK.hash), then=(sign(VoteKind.NOTARIZE),))

    def test_a_notarized_block_in_the_log_goes_on_to_finalize(self):
        script = Script()
        notarized = certificate(VoteKind.NOTARIZE)
        script.when(Started((BLOCK,), (notarized,), LATE), then=(ValidateBlock(BLOCK),))
        script.when(BlockValidated(BLOCK.hash), then=(sign(VoteKind.FINALIZE),))

    def test_a_block_that_cannot_be_executed_again_is_skipped(self):
        script = Script().started(LATE, BLOCK)
        script.when(BlockRefused(BLOCK.hash, "worker gone"), then=(sign(VoteKind.NULLIFY),))
        script.when(
            VoteSigned(vote(VoteKind.NULLIFY), LATE),
            then=(PersistCertificate(certificate(VoteKind.NULLIFY)), WakeAt(50)),
        )
        script.when(Ticked(has_work=True, now=LATE), then=(BuildBlock(8, TIP, LATE.wall_ms),))

    def test_skipped_slots_in_the_log_stay_skipped(self):
        skipped = [certificate(VoteKind.NULLIFY, slot) for slot in (8, 7)]
        script = Script().started(LATE, BLOCK, *skipped)
        script.when(Ticked(has_work=True, now=LATE), then=(BuildBlock(9, TIP, LATE.wall_ms),))

    def test_a_block_in_the_log_on_another_parent_is_not_proposed(self):
        script = Script()
        script.when(Started((proposal(parent=b"x" * 32),), (), LATE), then=(WakeAt(50),))

    def test_a_block_in_the_log_of_a_final_slot_is_not_proposed(self):
        script = Script()
        script.when(Started((proposal(slot=6),), (), LATE), then=(WakeAt(50),))


class TestSigner:
    def test_a_refused_notarize_skips_the_slot(self):
        script = Script().started().built()
        script.when(VoteRefused(7, "another block"), then=(sign(VoteKind.NULLIFY),))

    def test_a_refused_finalize_skips_the_slot(self):
        script = Script().started().built()
        script.state, _ = apply(script.state, VoteSigned(vote(VoteKind.NOTARIZE), LATE))
        script.when(VoteRefused(7, "skipped before"), then=(sign(VoteKind.NULLIFY),))

    def test_a_refused_nullify_halts_with_what_to_do(self):
        script = Script().started().built()
        script.state, _ = apply(script.state, VoteRefused(7, "another block"))
        script.state, effects = apply(script.state, VoteRefused(7, "behind slot 12"))
        (halt,) = effects
        assert isinstance(halt, Halt)
        assert "slot 7" in halt.detail
        assert "behind slot 12" in halt.detail
        assert "put the newest chain database back" in halt.detail
        script.when(Ticked(has_work=True, now=LATE), then=())

    def test_a_silent_signer_is_asked_again_for_the_same_vote(self):
        script = Script().started().built()
        retry = 50 + SIGNER_RETRY_MS
        script.when(SignerUnavailable(LATE), then=(WakeAt(retry),))
        script.when(Ticked(has_work=True, now=LATE), then=(WakeAt(retry),))
        due = replace(LATE, monotonic_ms=retry)
        script.when(Ticked(has_work=False, now=due), then=(sign(VoteKind.NOTARIZE),))
        script.when(Ticked(has_work=False, now=due), then=())


@pytest.mark.parametrize(
    "stray",
    [
        BlockBuilt(BLOCK),
        BlockValidated(BLOCK.hash),
        BlockRefused(BLOCK.hash, "late"),
        VoteSigned(vote(VoteKind.NOTARIZE), LATE),
        VoteSigned(vote(VoteKind.FINALIZE), LATE),
        VoteSigned(vote(VoteKind.NULLIFY), LATE),
        VoteRefused(7, "late"),
        SignerUnavailable(LATE),
        BlockCommitted(TIP, LATE),
    ],
    ids=lambda stray: type(stray).__name__,
)
def test_an_input_that_does_not_fit_the_step_changes_nothing(stray: Any):
    waiting = Script().started(AT_TIP)
    before = waiting.state
    waiting.when(stray, then=())
    assert waiting.state == before


@pytest.mark.parametrize(
    "stray",
    [
        BlockBuilt(proposal(slot=8)),
        VoteSigned(vote(VoteKind.FINALIZE), LATE),
        VoteSigned(vote(VoteKind.NOTARIZE, slot=6), LATE),
        VoteRefused(6, "another slot"),
        BlockCommitted(TIP, LATE),
    ],
)
def test_what_belongs_to_another_slot_or_step_changes_nothing(stray: Any):
    voting = Script().started().built()
    before = voting.state
    voting.when(stray, then=())
    assert voting.state == before
