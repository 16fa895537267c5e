"""Votes of this node's own seat that come from peers: told once, loose or inside a certificate."""

import asyncio
from typing import Any, cast

import pytest

from ledger.consensus.certificate import build_certificate
from ledger.consensus.effects import VerifySignatures
from ledger.consensus.epoch import Epoch, Tip
from ledger.consensus.inputs import SignaturesVerified
from ledger.crypto.domains import VoteKind
from ledger.node.inbox import Inbox
from ledger.node.parts import Parts
from ledger.node.performer import Performer
from ledger.types.block import Vote

PEER, HASH = b"p" * 32, b"h" * 32
OURS = 2


def vote(voter: int, slot: int = 5, block_hash: bytes = HASH) -> Vote:
    signature = bytes([voter + 1, slot]) * 32
    return Vote(VoteKind.NOTARIZE, 0, slot, block_hash, voter, signature)


class Peers:
    """Remembers whom the node blamed."""

    def __init__(self):
        self.blamed = []

    def blame(self, peer):
        self.blamed.append(peer)


class Desk:
    """A performer of whose parts only two are real, and what it told."""

    def __init__(self, seat: int | None):
        self.told: list[Vote] = []
        self.peers = Peers()
        nothing = cast("Any", None)
        parts = Parts(
            nothing,
            nothing,
            nothing,
            nothing,
            nothing,
            cast("Any", self.peers),
            nothing,
            on_own_vote=self.told.append,
        )
        self._performer = Performer(parts, nothing, Inbox(), nothing)
        names = tuple(bytes([number]) * 32 for number in range(4))
        self._epoch = Epoch(0, names, names, HASH, Tip(0, 0, HASH, 0), seat)

    async def hear(self, votes=(), certificates=(), forged=()):
        """Some votes and certificates were verified; `forged` are those that were not genuine."""
        wanted = VerifySignatures(PEER, self._epoch, (*votes, *forged), tuple(certificates))
        future: asyncio.Future[SignaturesVerified] = asyncio.Future()
        future.set_result(SignaturesVerified(PEER, tuple(votes), tuple(certificates), None))
        self._performer._take_verified(wanted, future)


@pytest.fixture
def desk():
    return Desk(OURS)


async def test_a_vote_of_our_seat_is_told_once(desk):
    await desk.hear([vote(0), vote(OURS), vote(3)])
    await desk.hear([vote(OURS)])

    assert desk.told == [vote(OURS)]


async def test_a_vote_inside_a_certificate_is_told_as_well(desk):
    await desk.hear(certificates=[build_certificate([vote(0), vote(1), vote(OURS)])])
    await desk.hear(certificates=[build_certificate([vote(0, 6), vote(1, 6), vote(3, 6)])])
    await desk.hear([vote(OURS)])

    assert desk.told == [vote(OURS)]


async def test_a_forged_one_is_not_told_but_blamed(desk):
    await desk.hear(forged=[vote(OURS)])

    assert desk.told == []
    assert desk.peers.blamed == [PEER]


async def test_a_follower_has_no_votes():
    desk = Desk(None)
    await desk.hear([vote(OURS)], [build_certificate([vote(0), vote(1), vote(OURS)])])

    assert desk.told == []
