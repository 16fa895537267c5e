"""Watches a cluster: when blocks were proposed, when they became final where, and that all agree."""

import statistics
from collections import Counter

from gateway.lab.node import LabNode
from ledger.consensus.blocks import Proposal
from ledger.crypto.domains import VoteKind
from ledger.types.block import FinalityProof, Vote


class DisagreementError(Exception):
    """Two nodes have made different blocks final."""


class Measurement:
    """An observer of all nodes of a run."""

    def __init__(self) -> None:
        self._proposed_ms: dict[bytes, int] = {}
        self._final_ms: dict[int, list[int]] = {}
        self._hashes: dict[int, bytes] = {}
        self._times_ms: dict[int, int] = {}
        self.proposers: Counter[bytes] = Counter()
        self.last_final_ms = 0

    def on_vote(self, node: LabNode, vote: Vote) -> None:
        """A block's first NOTARIZE is its proposer's, and goes out with it."""
        if vote.kind is VoteKind.NOTARIZE:
            self._proposed_ms.setdefault(vote.block_hash, node.world.clockwork.now_ms)

    def on_commit(self, node: LabNode, proposal: Proposal, _proof: FinalityProof | None) -> None:
        """Compare the block with what others made final at its height."""
        height, now_ms = proposal.header.height, node.world.clockwork.now_ms
        first = self._hashes.setdefault(height, proposal.hash)
        if first != proposal.hash:
            raise DisagreementError(f"two blocks are final at height {height}: this must not be")
        if height not in self._final_ms:
            self.last_final_ms = now_ms
            self._times_ms[height] = proposal.header.time_ms
            self.proposers[proposal.header.proposer] += 1
        self._final_ms.setdefault(height, []).append(now_ms)

    def on_evidence(self, _node: LabNode, _first: Vote, _second: Vote) -> None:
        """Nobody in this laboratory equivocates."""
        raise DisagreementError("an honest agent is accused: this must not be")

    @property
    def height(self) -> int:
        """The highest block that is final anywhere."""
        return max(self._hashes, default=0)

    def finality_ms(self, above: int) -> list[int]:
        """Return, for each block above a height, how long after its proposal the median node had it."""
        return [
            int(statistics.median(times)) - self._proposed_ms[self._hashes[height]]
            for height, times in self._final_ms.items()
            if height > above
        ]

    def intervals_ms(self, above: int) -> list[int]:
        """Return the times between the blocks above a height."""
        heights = sorted(height for height in self._times_ms if height > above)
        return [
            self._times_ms[height] - self._times_ms[height - 1]
            for height in heights
            if height - 1 in self._times_ms
        ]
