"""paho-mqtt against the running command: both versions, both transports."""

import queue
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from tests.spec.mqtt.targets import Target
from tests.support.mqtt_brokers import broker_process

pytestmark = pytest.mark.integration

WAIT_S = 20.0
V311, V5 = MQTTProtocolVersion.MQTTv311, MQTTProtocolVersion.MQTTv5


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    with broker_process() as target:
        yield target


class User:
    """Opens paho clients and puts what they receive into queues."""

    def __init__(self, target: Target, version: MQTTProtocolVersion, transport: str) -> None:
        self._target = target
        self.version = version
        self._transport = transport
        self._clients: list[Client] = []

    def client(
        self, name: str | None = None, *, keep: bool = False, will: str | None = None
    ) -> tuple[Client, "queue.Queue[MQTTMessage]", Any]:
        """Connect; returns the client, its messages, and the flags of CONNACK."""
        clean = None if self.version == V5 else not keep
        client = Client(
            CallbackAPIVersion.VERSION2,
            name or uuid.uuid4().hex,
            clean_session=clean,
            protocol=self.version,
            transport="websockets" if self._transport == "ws" else "tcp",
        )
        received: queue.Queue[MQTTMessage] = queue.Queue()
        connected: queue.Queue[Any] = queue.Queue()
        client.on_message = lambda _client, _data, message: received.put(message)
        client.on_connect = lambda _c, _d, flags, reason, _p: connected.put((flags, reason))
        client.on_subscribe = lambda _c, _d, _mid, reasons, _p: connected.put(reasons)
        if will:
            client.will_set(will, b"lost", qos=1)
        address = self._target.websocket if self._transport == "ws" else self._target.tcp
        assert address is not None
        options: dict[str, Any] = {}
        if self.version == V5:
            properties = Properties(PacketTypes.CONNECT)
            properties.SessionExpiryInterval = 600 if keep else 0
            options = {"clean_start": not keep, "properties": properties}
        client.connect(*address, **options)
        client.loop_start()
        flags, reason = connected.get(timeout=WAIT_S)
        assert not reason.is_failure
        client.user_data_set(connected)
        self._clients.append(client)
        return client, received, flags

    @staticmethod
    def subscribe(client: Client, *arguments: Any, **options: Any) -> list[int]:
        client.subscribe(*arguments, **options)
        return [reason.value for reason in client.user_data_get().get(timeout=WAIT_S)]

    def leave(self) -> None:
        for client in self._clients:
            client.disconnect()
            client.loop_stop()


@pytest.fixture(params=[V311, V5], ids=["v3.1.1", "v5"])
def version(request: pytest.FixtureRequest) -> MQTTProtocolVersion:
    chosen: MQTTProtocolVersion = request.param
    return chosen


@pytest.fixture(params=["tcp", "ws"])
def user(
    request: pytest.FixtureRequest, target: Target, version: MQTTProtocolVersion
) -> Iterator[User]:
    user = User(target, version, request.param)
    yield user
    user.leave()


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_many_messages_arrive_in_order(user, qos):
    topic = uuid.uuid4().hex
    reader, received, _ = user.client()
    assert user.subscribe(reader, topic, qos) == [qos]
    writer, _, _ = user.client()

    sent = [writer.publish(topic, b"%d" % number, qos) for number in range(300)]
    for info in sent:
        info.wait_for_publish(WAIT_S)

    messages = [received.get(timeout=WAIT_S) for _ in range(300)]
    assert [message.payload for message in messages] == [b"%d" % n for n in range(300)]
    assert {message.qos for message in messages} == {qos}


@pytest.mark.parametrize("qos", [1, 2])
def test_what_arrives_meanwhile_waits_for_a_kept_session(user, qos):
    topic, name = uuid.uuid4().hex, uuid.uuid4().hex
    reader, _, flags = user.client(name, keep=True)
    assert not flags.session_present
    user.subscribe(reader, topic, 2)
    reader.disconnect()
    reader.loop_stop()
    writer, _, _ = user.client()
    for number in range(30):
        writer.publish(topic, b"%d" % number, qos).wait_for_publish(WAIT_S)

    _, received, flags = user.client(name, keep=True)

    assert flags.session_present
    assert [received.get(timeout=WAIT_S).payload for _ in range(30)] == [
        b"%d" % number for number in range(30)
    ]


def test_retained_messages_and_wills(user):
    topic = uuid.uuid4().hex
    doomed, _, _ = user.client(will=f"{topic}/will")
    doomed.publish(f"{topic}/kept", b"kept", 1, retain=True).wait_for_publish(WAIT_S)
    reader, received, _ = user.client()
    user.subscribe(reader, f"{topic}/#", 1)
    message = received.get(timeout=WAIT_S)
    assert (message.payload, message.retain) == (b"kept", True)

    socket = doomed.socket()
    assert socket is not None
    doomed.loop_stop()
    socket.close()

    message = received.get(timeout=WAIT_S)
    assert (message.topic, message.payload) == (f"{topic}/will", b"lost")
    reader.publish(f"{topic}/kept", b"", 1, retain=True).wait_for_publish(WAIT_S)


def test_a_large_message_passes(user):
    topic = uuid.uuid4().hex
    reader, received, _ = user.client()
    user.subscribe(reader, topic, 1)

    reader.publish(topic, bytes(200_000), 1).wait_for_publish(WAIT_S)

    assert received.get(timeout=WAIT_S).payload == bytes(200_000)


@pytest.mark.parametrize("version", [V5], ids=["v5"])
def test_a_request_is_answered_where_it_asks(user):
    service, asked, _ = user.client()
    user.subscribe(service, "service/double", options=SubscribeOptions(qos=1, noLocal=True))
    caller, answers, _ = user.client()
    answer_topic = f"answers/{uuid.uuid4().hex}"
    user.subscribe(caller, answer_topic, 1)
    request = Properties(PacketTypes.PUBLISH)
    request.ResponseTopic = answer_topic
    request.CorrelationData = b"\x00\x01"
    request.UserProperty = [("unit", "kWh")]

    caller.publish("service/double", b"21", 1, properties=request)
    message = asked.get(timeout=WAIT_S)
    assert message.properties is not None
    answer = Properties(PacketTypes.PUBLISH)
    answer.CorrelationData = message.properties.CorrelationData
    service.publish(message.properties.ResponseTopic, b"42", 1, properties=answer)

    received = answers.get(timeout=WAIT_S)
    assert received.properties is not None
    assert (received.payload, received.properties.CorrelationData) == (b"42", b"\x00\x01")
    assert message.properties.UserProperty == [("unit", "kWh")]
