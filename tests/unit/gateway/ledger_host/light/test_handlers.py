"""What a light node answers is what a full one answers, verb by verb, on the same real chain."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import MessagingError
from gateway.ledger_host.handlers import LedgerHandlers
from gateway.ledger_host.light.handlers import LightHandlers
from gateway.ledger_host.light.state import LoopCaller
from gateway.messaging.server import Handler
from gateway.model.ledger_api import LIGHT_REFUSAL, PeersReply, StatusReply
from ledger.node.light_answers import LightAnswers
from tests.support.ledger_lab import (
    DEVICE,
    START_MS,
    ReadingBatch,
    address_of,
    finalise,
    make_device_registration,
)
from tests.support.light_peers import ChainPeer, LightLab, Peers
from tests.support.snapshot_lab import EPOCH_BLOCKS, SnapshotLab

METERING, NODE = address_of("metering").hex(), address_of("node").hex()


class Both:
    """The handlers of a full and of a light node."""

    def __init__(self, full: dict[str, Handler], light: dict[str, Handler], ids: list[str]) -> None:
        self.full = full
        self.light = light
        self.ids = ids  # of final transactions, the anchor's last

    async def compare(self, verb: str, body: dict[str, Any]) -> Any:
        ours, theirs = [
            await asyncio.to_thread(table[verb], dict(body)) for table in (self.light, self.full)
        ]
        assert ours == theirs
        return ours


@pytest.fixture
async def both(tmp_path: Path) -> AsyncIterator[Both]:
    lab = SnapshotLab(tmp_path)
    node = lab.open_keeping()
    await lab.grow(node, 0, 2 * EPOCH_BLOCKS)
    blocks = await finalise(
        node,
        lab.sign("metering", 0, make_device_registration()),
        lab.sign("metering", 1, ReadingBatch(1, 3).make_anchor()),
    )
    light = LightLab(
        tmp_path / "trail.db",
        Peers(ChainPeer(LightAnswers(lab.path, node.prover, lab.genesis))),
        lab.genesis,
    )
    light.clock.wall_ms = START_MS
    loop = asyncio.get_running_loop()
    answers = LightHandlers(
        light.chain,
        LoopCaller(loop),
        peers=lambda: PeersReply((), 0, 0, 0),
        status=lambda: StatusReply("", 0, "", 0, 0, 0, 0, 0, 0, "", "", 0),
    )
    ids = [one.id.hex() for block in blocks for one in block.transactions]
    yield Both(LedgerHandlers(node, loop).table(), answers.table(), ids)
    light.close()
    node.close()


async def test_both_know_the_same_verbs(both: Both):
    assert both.light.keys() == both.full.keys()


@pytest.mark.parametrize(
    ("verb", "body"),
    [
        ("account", {"address": METERING}),
        ("account", {"address": "77" * 32}),
        ("device", {"device_id": DEVICE.hex()}),
        ("device", {"device_id": "77" * 32}),
        ("identity", {"address": NODE}),
        ("identity", {"address": "77" * 32}),
        ("revocation", {"id": "77" * 32}),
        ("software", {"id": "77" * 32}),
        ("coin", {"id": "77" * 32, "address": METERING}),
        ("stake", {"address": NODE}),
        ("agents", {}),
        ("parameters", {}),
        ("proposals", {}),
        ("transaction", {"id": "77" * 32}),
        ("culprits", {}),
        ("peers", {}),
    ],
)
async def test_they_give_the_same_answers(both: Both, verb: str, body: dict[str, Any]):
    await both.compare(verb, body)


async def test_final_transactions_and_their_evidence_are_the_same(both: Both):
    for one in both.ids:
        reply = await both.compare("transaction", {"id": one})
        assert reply["status"] == "final"
        assert reply["applied"]
        await both.compare("evidence", {"id": one})


async def test_a_block_and_a_proof_of_the_state_are_the_same(both: Both):
    height = (await both.compare("transaction", {"id": both.ids[0]}))["height"]
    block = await both.compare("block", {"height": height})
    assert both.ids[0] in block["transactions"]
    proof = await both.compare("proof", {"id": "61" + METERING})
    assert proof["height"] >= height


async def test_what_is_not_there_is_said_in_one_line(both: Both):
    for verb, body in (("block", {"height": 9_999}), ("evidence", {"id": "77" * 32})):
        with pytest.raises(MessagingError) as told:
            await asyncio.to_thread(both.light[verb], body)
        assert "\n" not in str(told.value)


async def test_a_question_to_a_contract_is_refused(both: Both):
    reply = await asyncio.to_thread(both.light["query"], {"contract": "77" * 32, "method": "m"})
    assert not reply["ok"]
    assert reply["refusal"] == LIGHT_REFUSAL


@pytest.mark.parametrize("body", [{"address": "xy"}, {"address": "77"}, {"what": 1}])
async def test_a_malformed_request_is_told(both: Both, body: dict[str, Any]):
    with pytest.raises(MessagingError):
        await asyncio.to_thread(both.light["account"], body)
