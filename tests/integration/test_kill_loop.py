"""kill -9 of every process in turn, again and again, under load: nothing acknowledged is lost.

Three devices measure all the time, one of them publishes at QoS 1 and one at QoS 2. In each round a consumer opens a session, every process of the
node and the contract worker are killed in a random order, and the session is settled. At the end
every acknowledged message is a stored reading, of QoS 2 exactly one, sequences have no gap, the chain has gone on, and
the provider holds exactly the sum of the bills.
"""

import asyncio
import itertools
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec
import psutil
import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from edge_contracts.library import load_library_contract
from edge_contracts.values import Value, decode_value, encode_value
from gateway.app.credentials import CredentialFile
from gateway.app.operator import Operator
from gateway.app.registry import add_device, bind_session
from gateway.app.transactions import build_payload, wrap
from gateway.app.wallet import WalletAccount
from gateway.errors import MessagingError
from gateway.model import topics
from gateway.model.ledger_api import AccountReply, QueryReply, StatusReply, TransactionReply
from gateway.readings.queries import ReadingsReader
from ledger.codec.text import format_address
from ledger.crypto import ed25519
from ledger.crypto.domains import contract_address, transaction_id, transaction_message
from ledger.params import CONTRACT_CALL_GAS_MAX, SSP_BASE_UNITS
from ledger.types.reading import Reading
from ledger.types.transaction import CallContract, DeployContract
from tests.support.kill_clients import Meter
from tests.support.node import SERVICES, Node, find_free_port

ROUNDS = int(os.environ.get("SMARTSHARE_KILL_ROUNDS", "50"))
ROUND_TIMEOUT_S = 60.0
CONSUMER = ed25519.derive_public_key(bytes(range(32)))
PROVIDER = ed25519.derive_public_key(bytes(range(1, 33)))  # sends nothing, so it pays no fees
KWH, POWER = "energy_import_total", "power_active_total"
PUBLISH_INTERVAL_S = 0.02

T = TypeVar("T")

pytestmark = [pytest.mark.slow, pytest.mark.integration, pytest.mark.timeout(1500)]


class Publisher:
    """A device that counts: each message carries the next number, each PUBACK is remembered."""

    def __init__(self, node: Node, name: str) -> None:
        self.name = name
        self.acknowledged: set[int] = set()
        self._numbers: dict[int, int] = {}
        self._topic = topics.device("test", name, "up")
        self._stop = threading.Event()
        password = CredentialFile(node.home).set_new_password(name)
        self._client = Client(CallbackAPIVersion.VERSION2, name, clean_session=False)
        self._client.username_pw_set(name, password)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_publish = self._on_publish
        self._client.connect_async("127.0.0.1", node.port)
        self._client.loop_start()
        self._thread = threading.Thread(target=self._publish)
        self._thread.start()

    def _publish(self) -> None:
        for number in itertools.count(1):
            if self._stop.wait(PUBLISH_INTERVAL_S):
                return
            payload = msgspec.json.encode({POWER: number})
            info = self._client.publish(self._topic, payload, qos=1)
            self._numbers[info.mid] = number

    def _on_publish(self, _client, _userdata, message_id, _reason, _properties) -> None:
        while message_id not in self._numbers:
            time.sleep(0.001)
        self.acknowledged.add(self._numbers[message_id])

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self._client.disconnect()
        self._client.loop_stop()


class OncePublisher:
    """The same at QoS 2, by a client that never sends PUBLISH again after PUBREL.

    paho does, where it must try twice to connect [MQTT-4.3.3-6]: that is another message.
    """

    def __init__(self, node: Node, name: str) -> None:
        self.name = name
        self._due = 0
        self._meter = Meter(node.port, name, lambda: self._meter.sent < self._due)
        self._meter.gateway = "test"
        self._meter.login = (name, CredentialFile(node.home).set_new_password(name))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self._thread.start()

    @property
    def acknowledged(self) -> set[int]:
        return {msgspec.json.decode(message)[POWER] for message, _ in self._meter.acknowledged}

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            running = group.create_task(self._meter.run())
            while not self._stop.is_set():
                await asyncio.sleep(PUBLISH_INTERVAL_S)
                self._due += 1
                if self._meter.is_connected:
                    self._meter.fill()
            running.cancel()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()


class Consumer:
    """Sends each transaction until it is final: the same bytes, however often it must be sent."""

    def __init__(self, operator: Operator) -> None:
        self._operator = operator
        self._nonce = 0
        self._chain_id = bytes.fromhex(
            retry(lambda: operator.ask("status", {}, StatusReply)).chain_id
        )

    def send(self, body: CallContract) -> TransactionReply:
        height = retry(lambda: self._operator.ask("status", {}, StatusReply)).height
        payload = build_payload(self._chain_id, CONSUMER, self._nonce, height + 10_000, body)
        self._nonce += 1
        raw = wrap(payload, ed25519.sign(bytes(range(32)), transaction_message(payload)))
        name = transaction_id(payload).hex()

        def ask() -> TransactionReply | None:
            self._operator.submit(raw)
            reply = self._operator.ask("transaction", {"id": name}, TransactionReply)
            return reply if reply.status == "final" else None

        reply = retry(ask)
        assert reply.applied, reply.reason
        return reply


def retry(ask: Callable[[], T | None]) -> T:
    """Return what `ask` gives once it gives something; processes are being killed meanwhile."""
    deadline = time.monotonic() + ROUND_TIMEOUT_S
    while True:
        try:
            answer = ask()
        except MessagingError as error:
            answer, problem = None, str(error)
        else:
            problem = "no answer"
        if answer is not None:
            return answer
        assert time.monotonic() < deadline, problem
        time.sleep(0.1)


def deploy(node: Node, operator: Operator, device_id: bytes) -> bytes:
    code = load_library_contract("settlement")
    zones: list[Value] = [
        {"name": "all", "from_minute": 0, "to_minute": 1440, "price": 30 * SSP_BASE_UNITS}
    ]
    tariff: dict[str, Value] = {"name": "flat", "fixed": 7, "utc_offset_minutes": 0, "zones": zones}
    args: dict[str, Value] = {
        "provider": PROVIDER,
        "device": device_id,
        "quantity": KWH,
        "unit": "kWh",
        "tariff": tariff,
        "gap_max_ms": 3_600_000,
        "clocks": ["synchronised", "unsynchronised"],
    }
    body = DeployContract(code.source, code.manifest, encode_value(args), CONTRACT_CALL_GAS_MAX)
    name, sender, nonce = WalletAccount(node.home, operator).send(body)
    reply = operator.wait_final(name)
    assert reply.applied, reply.reason
    return contract_address(sender, nonce)


def query(operator: Operator, contract: bytes, method: str, session: str) -> dict[str, Any]:
    args = encode_value({"session": session}).hex()
    body = {"contract": contract.hex(), "method": method, "args": args}
    reply = retry(lambda: operator.ask("query", body, QueryReply))
    assert reply.ok, reply.refusal
    value = decode_value(bytes.fromhex(reply.result))
    assert isinstance(value, dict)
    return value


def call(contract: bytes, method: str, session: str, deposit: int = 0) -> CallContract:
    args = encode_value({"session": session})
    return CallContract(contract, method, args, deposit, CONTRACT_CALL_GAS_MAX)


def find_worker(node: Node) -> psutil.Process | None:
    children = psutil.Process(node.processes["ledger"].child.pid).children()
    return children[0] if children else None


def kill_all_in_turn(node: Node, chance: random.Random) -> None:
    """Kill everything; in half of the rounds the next dies while the others are still starting."""
    is_calm = chance.random() < 0.5
    victims = [*SERVICES, "worker"]
    chance.shuffle(victims)
    for victim in victims:
        time.sleep(chance.uniform(0.0, 0.4))  # the moment of death is the point of the test
        if victim == "worker":
            worker = find_worker(node)
            if worker is not None:
                worker.kill()
        else:
            node.processes[victim].kill()
            node.begin(victim)
            if is_calm:
                node.wait_ready(victim)
    if not is_calm:
        node.wait_ready()


def read_all(node: Node, device: str) -> list[Reading]:
    reader = ReadingsReader.open(node.home.readings)
    try:
        count = reader.last(device, 1)[0].reading.sequence
        return [one.reading for one in reader.range(device, 1, count)]
    finally:
        reader.close()


def wait_for_session_reading(operator: Operator, contract: bytes, session: str) -> None:
    retry(lambda: query(operator, contract, "session", session).get("sequence"))


def test_kill_9_of_every_process_loses_nothing(tmp_path):
    chance = random.Random(20260301)
    meter_port = find_free_port()
    with Node(tmp_path / "home", consumer=CONSUMER) as node:
        home = node.home
        add_device(home, "meter", "eastron-sdm630", f"modbus-tcp://127.0.0.1:{meter_port}", 100)
        for name in ("counter", "once"):
            add_device(home, name, "json-energy", None, 1000)
        node.start_meter("--profile", "eastron-sdm630", "--speed", "600", port=meter_port)
        node.start()
        publishers = (Publisher(node, "counter"), OncePublisher(node, "once"))
        try:
            with node.operator(answer_timeout_s=2.0) as operator:
                paid = run_rounds(node, operator, chance)
                balance = retry(
                    lambda: operator.ask("account", {"address": PROVIDER.hex()}, AccountReply)
                ).balance
                height = retry(lambda: operator.ask("status", {}, StatusReply)).height
        finally:
            for publisher in publishers:
                publisher.close()
        assert balance == sum(paid), "each settlement is paid exactly once"
        assert height > ROUNDS, "the chain goes on"
        check_readings(node, publishers)


def run_rounds(node: Node, operator: Operator, chance: random.Random) -> list[int]:
    reader = ReadingsReader.open(node.home.readings)
    device_id = next(one.device_id for one in reader.devices() if one.name == "meter")
    reader.close()
    contract = deploy(node, operator, device_id)
    consumer = Consumer(operator)
    paid = []
    for number in range(ROUNDS):
        session = f"round-{number}"
        consumer.send(call(contract, "open", session, deposit=SSP_BASE_UNITS))
        bind_session(node.home, "meter", format_address(contract), session, 1)
        kill_all_in_turn(node, chance)
        wait_for_session_reading(operator, contract, session)
        consumer.send(call(contract, "settle", session))
        bill = query(operator, contract, "bill", session)
        assert bill["paid"] == min(bill["total"], bill["deposit"])
        paid.append(bill["paid"])
    contract_left = retry(
        lambda: operator.ask("account", {"address": contract.hex()}, AccountReply)
    ).balance
    assert contract_left == 0, "the contract keeps nothing"
    return paid


def check_readings(node: Node, publishers: Sequence[Publisher | OncePublisher]) -> None:
    for device in ("meter", "counter", "once"):
        sequences = [reading.sequence for reading in read_all(node, device)]
        assert sequences == list(range(1, len(sequences) + 1)), f"{device} has a gap"
    for publisher in publishers:
        stored = Counter(
            quantity.value * 10**quantity.scale
            if quantity.scale >= 0
            else quantity.value // 10**-quantity.scale
            for reading in read_all(node, publisher.name)
            for quantity in reading.quantities
            if quantity.value is not None
        )
        assert len(publisher.acknowledged) > ROUNDS
        assert publisher.acknowledged <= stored.keys(), "an acknowledged message is not on disk"
        if publisher.name == "once":
            assert [value for value, count in stored.items() if count > 1] == []
