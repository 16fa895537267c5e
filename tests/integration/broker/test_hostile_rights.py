"""Who may do what, in both versions, before rights are withdrawn and after."""

from collections.abc import Callable, Iterator

import pytest

from tests.integration.broker.conftest import RunningBroker
from tests.spec.mqtt import wire
from tests.spec.mqtt.peer import Peer, TcpStream
from tests.spec.mqtt.wire import V5, V311, Kind, Login, Prop, Will

pytestmark = pytest.mark.integration

OWN, OTHERS = "ss/v1/gw1/dev/meter", "ss/v1/gw1/dev/other"
VERSIONS = [pytest.param(V311, id="v3.1.1"), pytest.param(V5, id="v5")]
Open = Callable[..., Peer]


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> int:
    chosen: int = request.param
    return chosen


@pytest.fixture
def opened(broker: RunningBroker, version: int) -> Iterator[Open]:
    peers: list[Peer] = []

    def connect(user: str, name: str = "", *, will: Will | None = None, keep: bool = False) -> Peer:
        pairs = [(Prop.SESSION_EXPIRY, 600)] if keep and version == V5 else []
        login = Login(not keep, 0, will, user, f"{user}-pw".encode(), pairs)
        peers.append(Peer(TcpStream(("127.0.0.1", broker.port)), version))
        return peers[-1].send(wire.connect(version, name or f"{user}-{len(peers)}", login))

    yield connect
    for peer in peers:
        peer.close()


def accepted(peer: Peer) -> Peer:
    assert peer.expect(Kind.CONNACK).reason == 0
    return peer


@pytest.mark.parametrize("retain", [False, True])
@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize(
    ("topic", "is_allowed"),
    [
        (f"{OWN}/state", True),
        (f"{OTHERS}/state", False),
        (f"{OTHERS}/up", False),
        ("shared/x", False),
        ("$SYS/x", False),
        (f"{OWN}", True),
        (f"{OWN}x/state", False),
        (f"/{OWN}/state", False),
    ],
)
def test_publishing(opened: Open, version, topic, is_allowed, qos, retain):
    reader = accepted(opened("service"))
    reader.subscribe("#", qos=2)
    meter = accepted(opened("meter"))

    reason = meter.publish(topic, b"x", qos, retain=retain)

    if version == V5 and qos:
        assert reason == (0 if is_allowed else 0x87)
    found = [m.topic for m in reader.messages() if not str(m.topic).endswith("/rejected")]
    assert found == ([topic] if is_allowed else [])
    late = accepted(opened("service"))
    late.subscribe("#")
    kept = [m.topic for m in late.messages() if not str(m.topic).endswith("/rejected")]
    assert kept == ([topic] if is_allowed and retain else [])


@pytest.mark.parametrize(
    ("topic_filter", "is_allowed"),
    [
        (f"{OWN}/#", True),
        (f"{OWN}/+/x", True),
        ("shared/#", True),
        ("shared/+", True),
        (f"{OTHERS}/#", False),
        (f"{OWN}x/#", False),
        ("#", False),
        ("+/#", False),
        ("ss/v1/gw1/dev/+/state", False),
        ("ss/v1/gw1/#", False),
        ("+/v1/gw1/dev/meter/#", False),
        ("shared", True),
        ("$share/g/#", False),
        (f"$share/g/{OTHERS}/#", False),
        (f"$share/{OWN}/#", False),
        (f"$share/g/{OWN}/#", True),
    ],
)
def test_subscribing_brings_what_is_ones_own_and_nothing_that_is_kept(
    opened: Open, version, topic_filter, is_allowed
):
    service = accepted(opened("service"))
    for topic in (f"{OTHERS}/state", f"{OWN}x/state", "secret"):
        service.publish(topic, b"not for the meter", 1, retain=True)
    meter = accepted(opened("meter"))

    (reason,) = meter.subscribe(topic_filter, qos=1)
    for topic in (f"{OTHERS}/state", f"{OWN}x/state", "secret"):
        service.publish(topic, b"live", 1)

    assert (reason < 0x80) == is_allowed
    if version == V5 and not is_allowed:
        assert reason == 0x87
    meter.send(wire.PINGREQ)
    assert meter.next() == wire.Answer(Kind.PINGRESP)


@pytest.mark.parametrize("retain", [False, True])
@pytest.mark.parametrize(
    ("topic", "is_allowed"),
    [(f"{OWN}/state", True), (f"{OTHERS}/state", False), ("actuator/door", False)],
)
def test_wills(opened: Open, version, topic, is_allowed, retain):
    reader = accepted(opened("service"))
    reader.subscribe("#", qos=1)

    meter = opened("meter", will=Will(topic, b"gone", 1, retain=retain))
    reason = meter.expect(Kind.CONNACK).reason
    meter.close()

    assert reason == (0 if is_allowed else (0x87 if version == V5 else 5))
    if is_allowed:
        assert reader.message().topic == topic
    else:
        assert not reader.messages()


def test_rights_that_are_withdrawn_take_connection_will_queue_and_session_with_them(
    opened: Open, broker: RunningBroker, version
):
    service = accepted(opened("service"))
    service.subscribe(f"{OWN}/state", qos=1)
    live = accepted(opened("meter", "live", will=Will(f"{OWN}/state", b"gone", 1)))
    absent = accepted(opened("meter", "absent", keep=True))
    absent.subscribe(f"{OWN}/set", qos=1)
    absent.disconnect()
    service.publish(f"{OWN}/set", b"secret", 1)

    broker.run(lambda: broker.broker.disconnect({"meter"}))

    live.end()
    assert not service.messages()
    again = opened("meter", "absent", keep=True)
    connack = again.expect(Kind.CONNACK)
    assert not connack.session_present
    again.send(wire.PINGREQ)
    assert again.next() == wire.Answer(Kind.PINGRESP)  # and nothing that waited
