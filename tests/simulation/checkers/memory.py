"""S11: what a machine keeps is bounded by the set and the window, whatever is sent to it."""

from gateway.lab.cluster import Cluster
from gateway.lab.node import PIECE_BLOCKS
from ledger.consensus.state import WINDOW
from ledger.consensus.vote_book import VOTES_PER_SLOT_MAX

PEERS_MAX = 64  # more than any run has


def check_memory(cluster: Cluster) -> None:
    for node in cluster.nodes.values():
        state = node.machine.state
        open_slots = max(1, state.slot - state.tip.slot)
        slots = min(open_slots, WINDOW) + WINDOW + 1
        votes_max = VOTES_PER_SLOT_MAX * state.epoch.size * slots
        assert len(state.book) <= votes_max, f"S11: {len(state.book)} votes"
        for slot, votes in state.book._slots.items():
            assert slot <= state.slot + WINDOW, f"S11: votes of slot {slot} at {state.slot}"
            fullest = max(map(len, votes.by_voter.values()))
            assert fullest <= VOTES_PER_SLOT_MAX, f"S11: {fullest} votes of one agent"
        assert len(state.candidates) <= WINDOW + 1, "S11: candidates"
        blocks_max = open_slots + WINDOW + 1 + PIECE_BLOCKS + open_slots
        assert len(state.blocks) <= blocks_max, f"S11: {len(state.blocks)} blocks"
        assert len(state.wants) <= open_slots + WINDOW + 1, "S11: wants"
        assert len(state.answered) <= PEERS_MAX, "S11: peers"
        for held in (state.valid, state.invalid, state.persisted):
            strange = set(held) - set(state.blocks)
            assert not strange, "S11: verdicts on blocks that are gone"
        assert len(state.validating) <= blocks_max, "S11: blocks being executed"
