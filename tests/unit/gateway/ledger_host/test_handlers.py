"""Each request of the ledger against a real chain node: what it answers, and how it refuses."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest

from edge_contracts.values import encode_value
from gateway.cli.chain import describe_status
from gateway.errors import MessagingError
from gateway.ledger_host import handlers as handlers_module
from gateway.ledger_host.handlers import LedgerHandlers
from gateway.model import ledger_api, stake_api
from ledger.codec.canonical import Decoder
from ledger.crypto.domains import contract_address
from ledger.light import AnchorEvidence
from ledger.node.node import LedgerNode
from ledger.ports import ContractCode
from ledger.types.transaction import DeployContract
from tests.support.ledger_lab import (
    DEVICE,
    PROFILE,
    Lab,
    ReadingBatch,
    address_of,
    finalise,
    make_device_registration,
    sign_body,
)

VERBS = (
    *("status", "account", "submit", "transaction", "evidence", "block", "device", "query"),
    *("identity", "revocation", "software", "coin", "peers", "culprits"),
    *("agents", "parameters", "proposals", "stake", "proof"),
)
UNKNOWN = "77" * 32


class Chain:
    """A node with some final transactions, and the handlers of a process that hosts it."""

    def __init__(self, folder) -> None:
        self.lab = Lab(folder)
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()
        self.node = self.run(self._open())
        self.handlers = LedgerHandlers(self.node, self.loop)

    def run(self, work):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    async def _open(self) -> LedgerNode:
        node = self.lab.open()
        genesis = self.lab.genesis
        self.anchor = sign_body(genesis, "metering", 1, ReadingBatch(1, 3).make_anchor())
        register = sign_body(genesis, "metering", 0, make_device_registration())
        program = ContractCode("x", "")
        deploy = DeployContract(program.source, program.manifest, encode_value({}), 1_000)
        raws = (register, self.anchor, sign_body(genesis, "alice", 0, deploy, fee=100_000))
        self.blocks = await finalise(node, *raws)
        checked = [one for block in self.blocks for one in block.transactions]
        self.anchor_id = next(one.id for one in checked if one.raw == self.anchor).hex()
        return node

    def ask(self, verb: str, body: dict[str, Any]) -> dict[str, Any]:
        return self.handlers.table()[verb](body)

    def close(self) -> None:
        async def close() -> None:
            self.node.close()

        self.run(close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    chain = Chain(tmp_path_factory.mktemp("handlers"))
    yield chain
    chain.close()


@pytest.fixture
def ask(chain):
    return chain.ask


def test_every_documented_request_has_a_handler(chain):
    assert tuple(chain.handlers.table()) == VERBS
    documented = [
        line.split()[0]
        for page in (ledger_api, stake_api)
        for line in (page.__doc__ or "").splitlines()
        if " -> " in line
    ]
    assert tuple(documented) == VERBS


def test_status(chain, ask):
    chain.handlers.finality_ms = 321
    status = ask("status", {})

    assert status["height"] == chain.blocks[-1].header.height
    assert status["hash"] == chain.blocks[-1].hash.hex()
    assert (status["agents"], status["pending"], status["finality_ms"]) == (1, 0, 321)
    assert (status["clock"], status["problem"]) == ("synchronised", "")


def test_what_keeps_the_chain_from_going_on_is_told(chain, ask, monkeypatch):
    monkeypatch.setattr(chain.handlers, "find_problem", lambda: "it is lost")
    reply = msgspec.convert(ask("status", {}), ledger_api.StatusReply)
    assert reply.problem == "it is lost"
    assert describe_status(reply)[-1] == "PROBLEM   it is lost"


def test_account(ask):
    alice = ask("account", {"address": address_of("alice").hex()})
    assert (alice["nonce"], alice["pending_nonce"]) == (1, 1)
    assert 0 < alice["balance"] < 10**12

    nobody = ask("account", {"address": UNKNOWN})
    assert nobody == {"balance": 0, "nonce": 0, "pending_nonce": 0}


def test_transaction(chain, ask):
    final = ask("transaction", {"id": chain.anchor_id})
    assert (final["status"], final["applied"], final["reason"]) == ("final", True, "")
    assert final["height"] >= 1
    assert final["fee_paid"] > 0

    assert ask("transaction", {"id": UNKNOWN})["status"] == "unknown"


def test_submit(chain, ask):
    raw = chain.lab.transfer("bob", 0)
    name = ask("submit", {"raw": raw.hex()})["id"]
    assert ask("transaction", {"id": name})["status"] == "pending"
    assert ask("submit", {"raw": raw.hex()})["id"] == name, "once more changes nothing"
    assert ask("submit", {"raw": chain.anchor.hex()})["id"] == chain.anchor_id

    with pytest.raises(MessagingError, match="bad-nonce: "):
        ask("submit", {"raw": chain.lab.transfer("alice", 0).hex()})
    with pytest.raises(MessagingError, match="malformed: "):
        ask("submit", {"raw": "00"})


def test_evidence(chain, ask):
    reply = ask("evidence", {"id": chain.anchor_id})
    evidence = Decoder(AnchorEvidence).decode(bytes.fromhex(reply["evidence"]))
    assert reply["height"] == ask("transaction", {"id": chain.anchor_id})["height"]
    assert evidence is not None

    with pytest.raises(MessagingError, match="is not final"):
        ask("evidence", {"id": UNKNOWN})


def test_block(chain, ask):
    block = ask("block", {"height": 1})
    assert (block["height"], block["signers"]) == (1, 1)
    assert block["hash"] == chain.blocks[0].hash.hex()
    assert block["proposer"] == address_of("node").hex()
    assert len(block["transactions"]) == len(chain.blocks[0].transactions)

    for height in (0, 10**6, 2**63 - 1):
        with pytest.raises(MessagingError, match=f"^there is no block {height}$"):
            ask("block", {"height": height})


def test_device(ask):
    device = ask("device", {"device_id": DEVICE.hex()})
    assert (device["registered"], device["next_sequence"]) == (True, 4)
    assert device["profile_hash"] == PROFILE.hex()

    unknown = ask("device", {"device_id": UNKNOWN})
    assert (unknown["registered"], unknown["next_sequence"]) == (False, 1)
    assert bytes.fromhex(unknown["profile_hash"]) == b""


def test_query(ask):
    contract = contract_address(address_of("alice"), 0).hex()
    args = encode_value({"a": 1}).hex()
    assert ask("query", {"contract": contract, "method": "echo", "args": args}) == {
        "ok": True,
        "result": args,
        "refusal": "",
    }
    nobody = ask("query", {"contract": UNKNOWN, "method": "echo", "args": args})
    assert not nobody["ok"]
    assert "\n" not in nobody["refusal"]


def test_questions_at_the_same_time_take_turns(chain, ask):
    contract = contract_address(address_of("alice"), 0).hex()
    body = {"contract": contract, "method": "echo", "args": encode_value({}).hex()}
    with ThreadPoolExecutor(4) as threads:
        replies = list(threads.map(lambda _: ask("query", body), range(40)))

    assert all(reply["ok"] for reply in replies)


def test_a_question_that_takes_too_long_holds_up_the_others_for_a_bounded_time(
    chain, ask, monkeypatch
):
    monkeypatch.setattr(handlers_module, "QUERY_TURN_TIMEOUT_S", 0.01)
    with chain.handlers._querying, pytest.raises(MessagingError, match=r"ask again$"):
        ask("query", {"contract": UNKNOWN, "method": "echo", "args": ""})


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    "body",
    [
        {"id": 5},
        {"height": "1"},
        {"height": -1},
        {"height": 2**63},
        {"height": 10**40},
        {"height": 1.5},
        {"colour": "red"},
        {"address": None},
        {"args": ["a"]},
    ],
    ids=str,
)
def test_a_malformed_request_is_one_line(ask, verb, body):
    with pytest.raises(MessagingError, match="malformed request: ") as raised:
        ask(verb, body)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("verb", "field"),
    [
        ("account", "address"),
        ("transaction", "id"),
        ("evidence", "id"),
        ("device", "device_id"),
        ("query", "contract"),
    ],
)
@pytest.mark.parametrize("text", ["", "0", "zz" * 32, "ab" * 31, "ab" * 33, "é" * 64])
def test_what_names_nothing_is_one_line(ask, verb, field, text):
    with pytest.raises(MessagingError, match=f"^{field}: (not hexadecimal text|.* bytes instead)"):
        ask(verb, {field: text})


@pytest.mark.parametrize("field", ["raw", "args"])
def test_what_is_not_hexadecimal_is_one_line(ask, field):
    verb = "submit" if field == "raw" else "query"
    with pytest.raises(MessagingError, match=f"^{field}: not hexadecimal text$"):
        ask(verb, {field: "xy", "contract": UNKNOWN})
