"""The pipeline at an external broker: acknowledged after the commit, stored once, listeners served."""

import asyncio

import msgspec
import pytest

from gateway.errors import Rejected, RejectReason
from gateway.messaging import cluster_broker
from gateway.messaging.cluster_broker import ClusterBroker
from gateway.messaging.cluster_client import ClusterLogin, ClusterMessage

UP = "ss/v1/gw1/dev/plug/up"


class ClusterClient:
    """Notes what it is asked to do."""

    def __init__(self, login, events):
        self.acknowledged = []
        self.published = []
        self.subscribed = []
        self.unsubscribed = []
        self.dropped = 0

    def start(self):
        pass

    def stop(self):
        pass

    def drop_connection(self):
        self.dropped += 1

    def acknowledge(self, packet_id):
        self.acknowledged.append(packet_id)

    def publish(self, topic, payload, *, retain):
        self.published.append((topic, payload, retain))
        return len(self.published)

    def subscribe(self, filters):
        self.subscribed += filters

    def unsubscribe(self, filters):
        self.unsubscribed += filters


class Notes:
    def __init__(self):
        self.kept = {}

    def load(self):
        return dict(self.kept)

    def note(self, packet_id, digest, forgotten):
        for one in forgotten:
            self.kept.pop(one, None)
        self.kept[packet_id] = digest


class Sink:
    def __init__(self):
        self.accepted = []
        self.is_overloaded = False

    def accept(self, messages):
        for one in messages:
            if one.note is not None and not self.is_overloaded:
                one.note()
            self.accepted += [(one.device, payload) for payload in one.payloads]


class Lab:
    def __init__(self, monkeypatch):
        monkeypatch.setattr(cluster_broker, "ClusterClient", ClusterClient)
        self.filters = {UP: "plug"}
        self.notes, self.sink = Notes(), Sink()
        self.start()

    def start(self):
        login = ClusterLogin("broker", 1883, "c")
        self.broker = ClusterBroker(login, "gw1", self.sink, self.notes, lambda: self.filters)
        self.broker.start()

    @property
    def client(self):
        return self.broker._client

    def comes(self, packet_id, payload=b"1", *, topic=UP, is_dup=False, is_retained=False):
        self.broker.message(ClusterMessage(topic, payload, packet_id, is_dup, is_retained))


@pytest.fixture
async def lab(monkeypatch):
    lab = Lab(monkeypatch)
    lab.broker.connected(is_resumed=False)
    return lab


async def test_a_message_is_acknowledged_only_after_its_commit(lab):
    lab.comes(1)
    lab.comes(2)
    assert lab.sink.accepted == [("plug", b"1")] * 2
    assert lab.client.acknowledged == []
    lab.broker.settled(1)
    assert lab.client.acknowledged == [1]
    lab.broker.settled(1)
    assert lab.client.acknowledged == [1, 2]


async def test_a_repeat_after_a_kill_is_acknowledged_and_not_stored(lab):
    lab.comes(1)
    lab.broker.settled(1)
    lab.start()  # anew, with what is on disk
    lab.broker.connected(is_resumed=True)
    lab.comes(1, is_dup=True)

    assert len(lab.sink.accepted) == 1
    assert lab.client.acknowledged == [1]


async def test_a_commit_while_the_broker_is_away_is_acknowledged_when_it_asks_again(lab):
    lab.comes(1)
    lab.broker.disconnected("gone")
    lab.broker.settled(1)
    assert lab.client.acknowledged == []
    assert "is away (gone)" in lab.broker.problem
    lab.broker.connected(is_resumed=True)
    assert lab.broker.problem == ""
    lab.comes(1, is_dup=True)
    assert len(lab.sink.accepted) == 1
    assert lab.client.acknowledged == [1]


async def test_what_the_store_did_not_take_is_new_when_it_comes_again_after_a_kill(lab):
    lab.sink.is_overloaded = True
    lab.comes(1)
    lab.broker.refused(Rejected(RejectReason.OVERLOADED, "too fast"))
    lab.sink.is_overloaded = False
    lab.start()
    lab.broker.connected(is_resumed=True)
    lab.comes(1, is_dup=True)
    lab.broker.settled(1)

    assert len(lab.sink.accepted) == 2
    assert lab.client.acknowledged == [1]


async def test_what_is_known_to_have_arrived_is_forgotten_on_disk_with_the_next_commit(lab):
    lab.comes(1)
    lab.broker.settled(1)
    lab.broker.publish("t", b"1")
    lab.broker.published(1)
    lab.comes(2)
    assert set(lab.notes.kept) == {2}


async def test_a_publish_of_a_connection_that_is_over_proves_nothing(lab):
    lab.comes(1)
    lab.broker.settled(1)
    lab.broker.publish("t", b"1")
    lab.broker.disconnected("gone")
    lab.broker.connected(is_resumed=True)
    lab.broker.published(1)
    lab.comes(2, is_dup=True)
    assert set(lab.notes.kept) == {1, 2}


async def test_a_refused_reading_is_told_and_acknowledged(lab):
    lab.comes(1, b"nonsense")
    lab.broker.refused(Rejected(RejectReason.MALFORMED, "not JSON"))
    ((topic, payload, _),) = lab.client.published
    assert topic == "ss/v1/gw1/dev/plug/rejected"
    assert msgspec.json.decode(payload)["topic"] == UP
    assert lab.client.acknowledged == [1]
    assert lab.broker.rejected == 1


async def test_where_the_store_cannot_take_it_the_broker_keeps_it(lab):
    lab.comes(1)
    lab.broker.refused(Rejected(RejectReason.OVERLOADED, "too much"))
    lab.comes(2)
    assert lab.client.dropped == 1
    assert lab.client.acknowledged == []
    assert len(lab.sink.accepted) == 1, "what else comes on this connection comes again too"
    lab.broker.connected(is_resumed=True)
    lab.comes(1, is_dup=True)
    lab.comes(2, is_dup=True)
    assert len(lab.sink.accepted) == 3


async def test_retained_telemetry_is_no_reading(lab):
    lab.comes(1, is_retained=True)
    assert lab.sink.accepted == []
    assert lab.client.acknowledged == [1]


async def test_qos_0_is_stored_and_bounded(lab, monkeypatch):
    monkeypatch.setattr(cluster_broker, "WAITING_MAX", 2)
    for _ in range(3):
        lab.comes(0)
    lab.broker.settled(2)
    assert len(lab.sink.accepted) == 2
    assert lab.broker.dropped == 1
    assert lab.client.acknowledged == []


async def test_listeners_get_what_matches(lab):
    heard = []
    lab.broker.add_listener("ss/v1/gw1/bridge/request/+", lambda *one: heard.append(one))
    lab.comes(7, b"{}", topic="ss/v1/gw1/bridge/request/health")
    lab.comes(0, b"{}", topic="ss/v1/gw1/other")
    assert heard == [("ss/v1/gw1/bridge/request/health", b"{}")]
    assert lab.client.acknowledged == [7]


async def test_each_connection_subscribes_and_retains_again(lab):
    lab.broker.add_listener("a/+", lambda *_: None)
    lab.broker.publish("state", b"1", retain=True)
    lab.broker.disconnected("gone")
    lab.broker.publish("state", b"2", retain=True)
    lab.broker.publish("state", b"3", retain=True)
    lab.client.subscribed.clear()
    lab.client.published.clear()
    lab.broker.connected(is_resumed=True)
    assert lab.client.subscribed == [UP, "a/+"]
    assert lab.client.published == [("state", b"3", True)]


async def test_a_new_device_is_heard_and_a_removed_one_is_not(lab):
    lab.filters = {"tele/lamp/#": "lamp"}
    lab.broker.update_telemetry()
    assert lab.client.unsubscribed == [UP]
    assert lab.client.subscribed[-1] == "tele/lamp/#"
    lab.comes(1)
    lab.comes(2, topic="tele/lamp/SENSOR")
    assert lab.sink.accepted == [("lamp", b"1")]


async def test_it_stops(lab):
    await asyncio.wait_for(lab.broker.stop(), 5)
