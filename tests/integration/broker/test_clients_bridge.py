"""mosquitto as a bridge to our broker, both ways, with nothing but its defaults."""

import itertools
import uuid
from collections.abc import Callable, Iterator

import pytest

from tests.spec.mqtt.peer import Peer, TcpStream
from tests.spec.mqtt.targets import Target, mosquitto_command
from tests.spec.mqtt.wire import V311, Kind, connect
from tests.support.mqtt_brokers import broker_process, mosquitto_process

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(mosquitto_command() is None, reason="mosquitto is missing"),
]
BOUND_S = 20.0


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    with broker_process() as target:
        yield target


@pytest.fixture
def open_peer() -> Iterator[Callable[[int], Peer]]:
    peers: list[Peer] = []

    def open_peer(port: int) -> Peer:
        peer = Peer(TcpStream(("127.0.0.1", port)), V311, wait_s=BOUND_S)
        peer.send(connect(V311, uuid.uuid4().hex)).expect(Kind.CONNACK)
        peers.append(peer)
        return peer

    yield open_peer
    for peer in peers:
        peer.close()


@pytest.mark.parametrize("protocol", ["", "bridge_protocol_version mqttv50"])
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_messages_pass_both_ways(target: Target, open_peer, protocol, qos):
    config = (
        f"connection house-{uuid.uuid4().hex[:8]}\naddress 127.0.0.1:{target.tcp[1]}\n"
        f"topic up/# out {qos}\ntopic down/# in {qos}\n{protocol}"
    )
    with mosquitto_process(config) as port:
        here, there = open_peer(target.tcp[1]), open_peer(port)
        here.subscribe("up/#", qos=2)
        there.subscribe("down/#", qos=2)
        # Retained, so that neither side need know when the bridge has subscribed; mosquitto sends
        # what it retains again when its bridge connects.
        there.publish("up/first", b"from mosquitto", qos, retain=True)
        here.publish("down/first", b"from us", qos, retain=True)
        assert there.message().payload == b"from us"
        assert here.message().payload == b"from mosquitto"

        for number in range(50):
            there.publish(f"up/{number}", b"%d" % number, qos)
            here.publish(f"down/{number}", b"%d" % number, qos)
        for peer, way in ((here, "up"), (there, "down")):
            arriving = iter(peer.message, None)
            numbered = (m for m in arriving if m.topic != f"{way}/first")
            messages = list(itertools.islice(numbered, 50))
            assert [m.topic for m in messages] == [f"{way}/{number}" for number in range(50)]
            assert {m.qos for m in messages} == {qos}

        for name in ("up/first", "down/first"):
            here.publish(name, b"", retain=True)
