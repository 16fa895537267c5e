"""Catching up: one question at a time, one certificate a piece, nothing unasked (1.8)."""

import msgspec
import pytest

from ledger.consensus.blocks import build_seal
from ledger.consensus.effects import CommitBlock, Effect, OpenEpoch, Send, VerifySignatures
from ledger.consensus.epoch import Epoch, Tip
from ledger.consensus.inputs import (
    BlockValidated,
    EpochOpened,
    MessageReceived,
    SignaturesVerified,
    Ticked,
)
from ledger.consensus.state import RETRY_MS
from ledger.types.block import FinalityProof
from ledger.types.messages import ChainMessage, GetBlock, GetChain, Status
from tests.support.consensus_script import KEYS, NODES, F, Script, certificate

SIGNERS = b"\x07" + bytes(12)


def status(height: int, epoch: int = 0) -> Status:
    return Status(epoch, 9, height, b"h" * 32, 100_000, is_synchronised=True)


def ask(script: Script, peer: int = 1, height: int = 5) -> list[Effect]:
    effects = script.give(MessageReceived(NODES[peer], status(height)))
    return [e for e in effects if isinstance(e, Send) and isinstance(e.message, GetChain)]


def make_piece(script: Script) -> ChainMessage:
    first = script.block()
    second = script.block(2, first, parent_signers=SIGNERS)
    proof = FinalityProof((), certificate(F, 2, second.hash, 0, 1, 2))
    return ChainMessage(0, (first.block, second.block), proof)


def answer(script: Script, piece: ChainMessage, peer: int = 1) -> list[Effect]:
    asked = script.give(MessageReceived(NODES[peer], piece))
    if not any(isinstance(effect, VerifySignatures) for effect in asked):
        return asked
    genuine = (piece.proof.certificate,)
    return script.give(SignaturesVerified(NODES[peer], (), genuine, piece))


def test_who_is_ahead_is_asked_and_asked_no_more_until_it_answers():
    script = Script(seat=None)
    script.start()
    assert ask(script, height=1) == []
    assert ask(script) == [Send(NODES[1], GetChain(0))]
    assert ask(script, peer=2) == []
    script.now_ms += RETRY_MS
    assert ask(script, peer=1) == []  # the others go first
    assert ask(script, peer=2) == [Send(NODES[2], GetChain(0))]


def test_a_piece_is_executed_and_committed_in_order():
    script = Script(seat=None)
    script.start()
    ask(script)
    piece = make_piece(script)
    first, second = script.block(), script.block(2, script.block(), parent_signers=SIGNERS)
    answer(script, piece)
    effects = script.give(BlockValidated(first.hash))
    assert CommitBlock(first, None) in effects
    effects = script.give(BlockValidated(second.hash))
    assert CommitBlock(second, piece.proof) in effects
    assert Send(NODES[1], GetChain(2)) in effects  # and on to the next piece


def test_nothing_more_is_asked_while_a_piece_is_executed():
    script = Script(seat=None)
    script.start()
    ask(script)
    first, second = script.block(), script.block(2, script.block(), parent_signers=SIGNERS)
    answer(script, make_piece(script))
    newer = script.block(9, script.block(8))  # of which only the finalization is here
    final = certificate(F, 9, newer.hash, 0, 1, 2)
    for _ in range(2):
        script.now_ms += 2 * RETRY_MS
        assert ask(script, peer=2, height=9) == []
        effects = script.give(SignaturesVerified(NODES[2], (), (final,), None))
        assert not any(isinstance(e, Send) and isinstance(e.message, GetChain) for e in effects)
        script.give(BlockValidated(first.hash))
    script.give(BlockValidated(second.hash))
    script.now_ms += 2 * RETRY_MS
    assert ask(script, peer=2, height=9) == [Send(NODES[2], GetChain(2))]


def test_who_is_behind_in_blocks_though_not_in_slots_is_told_where_we_are():
    script = Script(seat=None)
    script.start()
    ask(script)
    piece = make_piece(script)
    first, second = script.block(), script.block(2, script.block(), parent_signers=SIGNERS)
    answer(script, piece)
    script.give(BlockValidated(first.hash))
    script.give(BlockValidated(second.hash))
    behind = msgspec.structs.replace(status(0), slot=script.state.slot)
    effects = script.give(MessageReceived(NODES[3], behind))
    (told,) = [effect for effect in effects if isinstance(effect, Send)]
    assert isinstance(told.message, Status)
    assert (told.peer, told.message.height) == (NODES[3], 2)


@pytest.mark.parametrize(("agents", "asked"), [(1, 0), (4, 0)])
def test_a_follower_may_ask_every_seat(agents: int, asked: int):
    script = Script(agents=agents, seat=None)
    script.start()
    block = script.block()
    signers = range(agents)
    final = certificate(F, 1, block.hash, *signers)
    effects = script.give(SignaturesVerified(NODES[0], (), (final,), None))
    assert Send(NODES[asked], GetBlock(0, block.hash)) in effects


def test_an_unasked_piece_and_one_of_another_peer_are_dropped():
    script = Script(seat=None)
    script.start()
    piece = make_piece(script)
    assert answer(script, piece) == []
    ask(script, peer=1)
    assert answer(script, piece, peer=2) == []
    assert script.state.blocks == {}


def test_a_piece_with_a_forged_proof_or_a_hole_leads_nowhere():
    script = Script(seat=None)
    script.start()
    ask(script)
    piece = make_piece(script)
    script.give(MessageReceived(NODES[1], piece))
    script.give(SignaturesVerified(NODES[1], (), (), piece))  # nothing in it was genuine
    assert script.state.blocks == {}
    script.now_ms += 2 * RETRY_MS
    ask(script)
    answer(script, msgspec.structs.replace(piece, blocks=piece.blocks[1:]))
    assert script.state.blocks == {}


def test_the_end_of_an_epoch_is_proven_by_a_seal_and_opens_the_next():
    script = Script(seat=None)
    script.start()
    ask(script)
    end = script.block(next_set_hash=b"n" * 32)
    seal = build_seal(end, script.epoch, 2, end.header.time_ms + 3_000, SIGNERS)
    proof = FinalityProof((seal.block.header,), certificate(F, 2, seal.hash, 0, 1, 2))
    answer(script, ChainMessage(0, (end.block,), proof))
    effects = script.give(BlockValidated(end.hash))
    root = Tip(1, 0, end.hash, end.header.time_ms)
    assert effects[-2:] == [CommitBlock(end, proof), OpenEpoch(1, root)]
    assert script.give(Ticked(has_work=True)) == []  # nothing before the set is known
    following = Epoch(1, NODES[:3], KEYS[:3], b"s" * 32, root, None)
    assert Send(NODES[1], GetChain(1)) in script.give(EpochOpened(following))
    assert (script.state.epoch.number, script.state.slot) == (1, 1)


def test_a_message_of_a_later_epoch_makes_us_ask_and_of_an_earlier_one_tells_our_place():
    script = Script(seat=None)
    script.start()
    later = script.give(MessageReceived(NODES[2], status(9, epoch=4)))
    assert later == [Send(NODES[2], GetChain(0))]
