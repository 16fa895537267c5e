"""A running node through epochs, with an onion to open, and what its state proves to others."""

from pathlib import Path

import msgspec
import pytest

from ledger.codec.canonical import Decoder
from ledger.crypto.domains import NO_HASH
from ledger.errors import SignerError
from ledger.light import StateEvidence, VerifiedRecord, build_state_file, verify_state_file
from ledger.state.epochs import get_epoch, get_running
from ledger.state.keys import account_key
from ledger.types.agent_set import hash_agent_set
from ledger.types.genesis import Genesis
from ledger.types.records import Account
from tests.support.ledger_lab import Lab, address_of, finalise, make_genesis
from tests.support.stake_chain import Onion

EPOCH_BLOCKS = 3


class Keeper:
    """Opens an onion; `refusals` times it does not."""

    def __init__(self) -> None:
        self.onion = Onion("lab")
        self.refusals = 0

    def reveal(self, commitment: bytes) -> bytes:
        if self.refusals:
            self.refusals -= 1
            raise SignerError("the SmartAgent does not answer")
        return self.onion.reveal(commitment)


def onion_genesis(keeper: Keeper) -> Genesis:
    genesis = make_genesis(slot_ms=100)
    (agent,) = genesis.agents
    with_onion = msgspec.structs.replace(agent, onion=keeper.onion.commitment, bond=10**12)
    return msgspec.structs.replace(
        genesis, agents=(with_onion,), epoch_blocks=EPOCH_BLOCKS, reward_pool=10**12
    )


@pytest.fixture
def keeper() -> Keeper:
    return Keeper()


@pytest.fixture
def lab(tmp_path: Path, keeper: Keeper) -> Lab:
    return Lab(tmp_path, onion_genesis(keeper))


async def test_epochs_follow_each_other_over_a_restart(lab: Lab, keeper: Keeper):
    beacons = set()
    for start in (0, 4):
        node = lab.open(onion=keeper)
        try:
            for nonce in range(start, start + 4):
                (*_, block) = await finalise(node, lab.transfer("alice", nonce))
                assert block.header.reveal != NO_HASH
                is_end = block.header.height % EPOCH_BLOCKS == 0
                assert (block.header.next_set_hash != NO_HASH) == is_end
                beacons.add(get_running(node.state()).beacon)
            epoch = get_epoch(node.state())
            assert epoch.epoch == node.status().height // EPOCH_BLOCKS
        finally:
            node.close()
    assert len(beacons) == 8


async def test_the_set_of_each_epoch_is_kept_for_who_asks_later(lab: Lab, keeper: Keeper):
    node = lab.open(onion=keeper)
    try:
        for nonce in range(EPOCH_BLOCKS):
            await finalise(node, lab.transfer("alice", nonce))
        stored, end = node._reader.newest_agent_set(1), node.block(EPOCH_BLOCKS)
        assert stored is not None
        assert end is not None
        assert end.header.next_set_hash == hash_agent_set(stored.agents)
        assert stored.height == EPOCH_BLOCKS
    finally:
        node.close()


async def test_a_block_waits_for_the_one_who_opens_its_onion(lab: Lab, keeper: Keeper):
    node = lab.open(onion=keeper)
    try:
        await finalise(node, lab.transfer("alice", 0))
        keeper.refusals = 2
        (*_, block) = await finalise(node, lab.transfer("alice", 1))
        assert keeper.refusals == 0
        assert block.header.reveal != NO_HASH
    finally:
        node.close()


async def test_a_balance_is_proven_behind_every_block(lab: Lab, keeper: Keeper):
    node = lab.open(onion=keeper)
    try:
        for nonce in range(5):
            await finalise(node, lab.transfer("alice", nonce))
            for name in ("alice", "carol", "nobody"):
                evidence = node.prove(account_key(address_of(name)))
                assert isinstance(evidence, StateEvidence), evidence
                text = build_state_file(lab.genesis, evidence)
                found = verify_state_file(text.encode(), lab.genesis)
                assert isinstance(found, VerifiedRecord), found
                balance = node.account(address_of(name)).balance
                assert found.block_height == node.status().height
                if found.value is None:
                    assert balance == 0
                else:
                    assert Decoder(Account).decode(found.value).balance == balance
    finally:
        node.close()
