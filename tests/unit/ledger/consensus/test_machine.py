"""The machine as scripts: an input, and exactly what it makes the shell do, in order."""

from typing import Any

import pytest

from ledger.consensus.blocks import NO_SIGNERS
from ledger.consensus.effects import (
    Broadcast,
    BuildBlock,
    CommitBlock,
    Effect,
    Gossip,
    Halt,
    PersistCertificate,
    PersistProposal,
    ReportEvidence,
    Send,
    SignVote,
    ValidateBlock,
    VerifySignatures,
)
from ledger.consensus.inputs import (
    BlockBuilt,
    BlockRefused,
    BlockValidated,
    BuildPostponed,
    MessageReceived,
    SignaturesVerified,
    SignerUnavailable,
    Started,
    Ticked,
    VoteRefused,
    VoteSigned,
)
from ledger.consensus.state import DELTA_MS, RETRY_MS
from ledger.crypto.domains import NO_HASH, VoteKind
from ledger.types.block import FinalityProof
from ledger.types.messages import CertificateMessage, GetBlock, Status, VoteMessage
from tests.support.consensus_script import (
    NODES,
    ROOT,
    F,
    N,
    Script,
    X,
    certificate,
    kinds,
    seat_that_follows,
    vote,
)


class TestAlone:
    def test_a_block_is_durable_before_each_vote_and_final_at_the_end(self):
        script = Script(agents=1)
        (build,) = script.start()
        assert build == BuildBlock(script.epoch, 1, ROOT, NO_SIGNERS, 103_000)
        block = script.block()
        assert script.give(BlockBuilt(block)) == [
            PersistProposal(block),
            SignVote(N, 0, 1, block.hash),
        ]
        ours = vote(N, 1, block.hash, 0)
        notarization = certificate(N, 1, block.hash, 0)
        effects = script.give(VoteSigned(ours))
        assert effects[1:] == [
            PersistCertificate(notarization),
            SignVote(F, 0, 1, block.hash),
        ]
        final = vote(F, 1, block.hash, 0)
        proof = FinalityProof((), certificate(F, 1, block.hash, 0))
        assert script.give(VoteSigned(final))[1:] == [CommitBlock(block, proof)]
        assert (script.state.tip.height, script.state.slot) == (1, 2)

    def test_without_work_there_is_no_block_before_the_heartbeat(self):
        script = Script(agents=1)
        assert script.start(has_work=False) == []
        script.now_ms += 26_999
        assert script.give(Ticked(has_work=False)) == []
        script.now_ms += 1
        assert kinds(script.give(Ticked(has_work=False))) == [BuildBlock]

    def test_nobody_is_waited_for_and_so_no_slot_is_skipped(self):
        script = Script(agents=1)
        script.start()
        script.now_ms += 60_000
        assert SignVote(X, 0, 1, NO_HASH) not in script.give(Ticked(has_work=True))

    def test_a_follower_of_one_agent_says_where_it_is_until_it_is_helped(self):
        script = Script(agents=1, seat=None)
        (said,) = script.give(Started((), ()))
        assert isinstance(said, Broadcast)
        assert isinstance(said.message, Status)
        script.now_ms += 60_000
        script.give(Ticked(has_work=False))
        script.now_ms += RETRY_MS
        again = script.give(Ticked(has_work=False))
        statuses = [e for e in again if isinstance(e, Broadcast) and isinstance(e.message, Status)]
        assert len(statuses) == 1

    def test_a_refused_vote_skips_the_slot_and_a_refused_skip_halts(self):
        script = Script(agents=1)
        script.start()
        block = script.block()
        script.give(BlockBuilt(block))
        assert script.give(VoteRefused(N, 1, "why")) == [SignVote(X, 0, 1, NO_HASH)]
        (halt,) = script.give(VoteRefused(X, 1, "why not"))
        assert isinstance(halt, Halt)
        assert "put the newest chain database back" in halt.detail
        assert script.give(Ticked(has_work=True)) == []

    def test_a_signer_that_is_away_is_asked_again(self):
        script = Script(agents=1)
        script.start()
        block = script.block()
        script.give(BlockBuilt(block))
        script.give(SignerUnavailable(N, 0, 1, block.hash))
        script.now_ms += RETRY_MS - 1
        assert script.give(Ticked(has_work=True)) == []
        script.now_ms += 1
        assert script.give(Ticked(has_work=True)) == [SignVote(N, 0, 1, block.hash)]

    def test_a_block_that_cannot_be_built_now_is_asked_for_again(self):
        script = Script(agents=1)
        (build,) = script.start()
        assert script.give(BuildPostponed(1)) == []
        script.now_ms += RETRY_MS - 1
        assert script.give(Ticked(has_work=True)) == []
        script.now_ms += 1
        (again,) = script.give(Ticked(has_work=True))
        assert isinstance(build, BuildBlock)
        assert isinstance(again, BuildBlock)
        assert again.slot == build.slot

    def test_the_block_in_the_log_is_the_one_that_is_voted_for(self):
        script = Script(agents=1)
        block = script.block()
        effects = script.give(Started((block,), ()))
        assert effects == [ValidateBlock(block)]
        assert script.give(BlockValidated(block.hash)) == [SignVote(N, 0, 1, block.hash)]


class TestVoting:
    def test_a_valid_proposal_gets_our_vote_after_it_is_durable(self):
        script = Script(seat=seat_that_follows())
        script.start()
        block = script.block()
        assert script.propose(block) == [ValidateBlock(block)]
        assert script.give(BlockValidated(block.hash)) == [
            PersistProposal(block),
            SignVote(N, 0, 1, block.hash),
        ]
        assert script.hear(vote(X, 1, NO_HASH, 3)) == []

    def test_of_two_proposals_the_first_is_looked_at_and_the_second_convicts(self):
        script = Script(seat=seat_that_follows())
        script.start()
        assert kinds(script.propose(script.block())) == [ValidateBlock]
        other = script.propose(script.block(reveal=b"r" * 32))
        assert kinds(other) == [ReportEvidence, Gossip]

    @pytest.mark.parametrize(
        "changed",
        [
            {"height": 2},
            {"proposer": b"z" * 32},
            {"time_ms": 102_999},
            {"seal": True},
        ],
        ids=lambda changed: next(iter(changed)),
    )
    def test_a_block_in_a_wrong_place_is_skipped_at_once(self, changed: dict[str, Any]):
        script = Script(seat=seat_that_follows())
        script.start()
        assert script.propose(script.block(**changed)) == [SignVote(X, 0, 1, NO_HASH)]

    def test_a_block_that_does_not_execute_is_skipped_at_once(self):
        script = Script(seat=seat_that_follows())
        script.start()
        block = script.block()
        script.propose(block)
        refused = script.give(BlockRefused(block.hash, "no"))
        assert refused == [SignVote(X, 0, 1, NO_HASH)]

    def test_a_block_from_the_future_is_held_back_not_refused(self):
        script = Script(seat=seat_that_follows())
        script.start()
        block = script.block(time_ms=106_000)
        assert script.propose(block) == []
        script.now_ms += 1_000
        assert script.give(Ticked(has_work=True))[0] == ValidateBlock(block)

    @pytest.mark.parametrize("signers", [b"\x07" + bytes(12), NO_SIGNERS])
    def test_participation_that_no_certificate_shows_is_not_looked_at(self, signers: bytes):
        script = Script(seat=seat_that_follows(2))
        script.start()
        first = script.block()
        notarization = certificate(N, 1, first.hash, 0, 1, 3)
        second = script.block(2, first, parent_signers=signers)
        script.propose(second, notarization)
        assert 2 not in script.state.candidates

    def test_a_block_over_a_gap_needs_every_skipped_slot(self):
        script = Script(seat=seat_that_follows(3))
        script.start()
        third = script.block(3)
        script.propose(third, certificate(X, 2, NO_HASH, 0, 1, 2))
        assert VoteKind.NOTARIZE not in script.state.asked
        effects = script.give(
            SignaturesVerified(NODES[1], (), (certificate(X, 1, NO_HASH, 0, 1, 2),), None)
        )
        assert effects[-1] == ValidateBlock(third)

    def test_after_the_deadline_the_slot_is_skipped_and_said_again(self):
        script = Script(seat=seat_that_follows())
        script.start()
        script.now_ms += 3 * DELTA_MS
        assert SignVote(X, 0, 1, NO_HASH) not in script.give(Ticked(has_work=True))
        script.now_ms += DELTA_MS
        assert SignVote(X, 0, 1, NO_HASH) in script.give(Ticked(has_work=True))
        ours = vote(X, 1, NO_HASH, seat_that_follows())
        assert script.give(VoteSigned(ours)) == [Broadcast(VoteMessage(ours))]
        script.now_ms += RETRY_MS
        assert Broadcast(VoteMessage(ours)) in script.give(Ticked(has_work=True))

    def test_a_follower_votes_for_nothing(self):
        script = Script(seat=None)
        script.start()
        block = script.block()
        script.propose(block)
        script.hear(*[vote(N, 1, block.hash, voter) for voter in range(3)])
        effects = script.hear(*[vote(F, 1, block.hash, voter) for voter in range(3)])
        assert ValidateBlock(block) in effects
        committed = script.give(BlockValidated(block.hash))
        assert kinds(committed) == [CommitBlock]


class TestCertificates:
    def test_a_quorum_of_votes_is_durable_before_we_finalize(self):
        script = Script(seat=seat_that_follows())
        script.start()
        block = script.block()
        script.propose(block)
        votes = [vote(N, 1, block.hash, voter) for voter in range(4)]
        leader = script.epoch.leader(1)
        effects: list[Effect] = []
        for one in votes:
            if one.voter != leader:
                effects += script.hear(one)
        wanted: list[Effect] = [e for e in effects if isinstance(e, PersistCertificate | SignVote)]
        assert kinds(wanted) == [PersistCertificate, SignVote]
        assert wanted[1] == SignVote(F, 0, 1, block.hash)
        assert any(isinstance(effect, Gossip) for effect in effects)
        assert script.state.slot == 2

    def test_who_asked_to_skip_a_slot_does_not_ask_to_finalize_in_it(self):
        script = Script(seat=seat_that_follows())
        script.start()
        script.now_ms += 10_000
        assert SignVote(X, 0, 1, NO_HASH) in script.give(Ticked(has_work=True))
        block = script.block()
        notarization = certificate(N, 1, block.hash, 0, 1, 2)
        effects = script.give(SignaturesVerified(NODES[1], (), (notarization,), None))
        assert not any(isinstance(effect, SignVote) for effect in effects)

    def test_a_block_that_only_a_certificate_names_is_fetched_from_its_signers(self):
        script = Script(seat=0)
        script.start()
        block = script.block()
        notarization = certificate(N, 1, block.hash, 1, 2, 3)
        effects = script.give(SignaturesVerified(NODES[1], (), (notarization,), None))
        assert Send(NODES[1], GetBlock(0, block.hash)) in effects
        script.now_ms += RETRY_MS
        assert Send(NODES[2], GetBlock(0, block.hash)) in script.give(Ticked(has_work=True))

    def test_a_known_certificate_is_not_verified_again(self):
        script = Script(seat=0)
        script.start()
        skip = certificate(X, 1, NO_HASH, 1, 2, 3)
        message = MessageReceived(NODES[1], CertificateMessage(skip))
        assert kinds(script.give(message)) == [VerifySignatures]
        script.give(SignaturesVerified(NODES[1], (), (skip,), None))
        assert script.give(message) == []

    def test_a_later_finalization_makes_what_it_stands_on_final(self):
        script = Script(seat=None)
        script.start()
        first = script.block()
        second = script.block(2, first, parent_signers=b"\x07" + bytes(12))
        script.propose(first)
        script.propose(second, certificate(N, 1, first.hash, 0, 1, 2))
        final = certificate(F, 2, second.hash, 0, 1, 2)
        effects = script.give(SignaturesVerified(NODES[1], (), (final,), None))
        assert ValidateBlock(first) in effects
        below = script.give(BlockValidated(first.hash))
        assert CommitBlock(first, None) in below
        assert ValidateBlock(second) in below
        above = script.give(BlockValidated(second.hash))
        assert CommitBlock(second, FinalityProof((), final)) in above

    def test_a_finalization_beside_the_final_chain_halts(self):
        script = Script(seat=None)
        script.start()
        first = script.block()
        script.propose(first)
        script.give(
            SignaturesVerified(NODES[1], (), (certificate(F, 1, first.hash, 0, 1, 2),), None)
        )
        script.give(BlockValidated(first.hash))
        rival = script.block(2)
        script.state.blocks[rival.hash] = rival
        final = certificate(F, 2, rival.hash, 0, 1, 2)
        (halt,) = [
            effect
            for effect in script.give(SignaturesVerified(NODES[1], (), (final,), None))
            if isinstance(effect, Halt)
        ]
        assert "does not extend block 1" in halt.detail
