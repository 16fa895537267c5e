"""A one-agent chain with short epochs that keeps its snapshots, and a follower's place beside it."""

from pathlib import Path

import msgspec

from ledger.light import Checkpoint
from ledger.node.node import LedgerNode, Surroundings
from ledger.node.snapshots import find_checkpoint, list_snapshots
from ledger.ports import PeerLink
from ledger.storage.reader import ChainReader
from ledger.types.genesis import Genesis
from ledger.types.genesis_file import genesis_chain_id
from tests.support.ledger_lab import Lab, finalise, make_genesis, seed_of
from tests.support.signer import GuardedSigner

EPOCH_BLOCKS = 3


def short_epochs() -> Genesis:
    genesis = make_genesis(slot_ms=100)
    (agent,) = genesis.agents
    staked = msgspec.structs.replace(agent, bond=10**12)
    return msgspec.structs.replace(
        genesis, agents=(staked,), epoch_blocks=EPOCH_BLOCKS, reward_pool=10**12
    )


class SnapshotLab(Lab):
    """The chain's only agent."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, short_epochs())
        self.snapshots = folder / "snapshots"

    def open_keeping(self, *, peers: PeerLink | None = None, keep_blocks: int = 0) -> LedgerNode:
        node_id = self.genesis.agents[0].node
        return LedgerNode.open(
            self.path,
            self.genesis,
            self.executor,
            self.clock,
            self.signer,
            around=Surroundings(node_id) if peers is None else Surroundings(node_id, peers),
            snapshots=self.snapshots,
            keep_blocks=keep_blocks,
        )

    async def grow(self, node: LedgerNode, start: int, count: int) -> None:
        """Make `count` blocks with a transfer each, the first with alice's nonce `start`."""
        for nonce in range(start, start + count):
            await finalise(node, self.transfer("alice", nonce))

    def resign(self) -> None:
        """Sign for the genesis as it is now."""
        chain_id = genesis_chain_id(self.genesis)
        self.signer = GuardedSigner(seed_of("consensus"), chain_id, self.record)

    def checkpoint(self) -> Checkpoint:
        reader = ChainReader.open(self.path)
        try:
            found = find_checkpoint(reader)
        finally:
            reader.close()
        assert found is not None
        return found

    def newest_snapshot(self) -> bytes:
        return list_snapshots(self.snapshots)[0].read_bytes()
