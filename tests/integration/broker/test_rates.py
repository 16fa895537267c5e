"""A device that connects or publishes too much is slowed down; nothing is lost, others are served."""

import time

import pytest

from tests.integration.broker.conftest import UP, WAIT_S, Paho
from tests.support.mqtt_peer import Raw

pytestmark = pytest.mark.integration

MESSAGES = 300


def test_a_flood_is_read_slowly_and_whole_while_another_device_is_served(start_broker, caplog):
    broker = start_broker(messages_per_s_per_device=200, messages_burst_per_device=50)
    flooding = Paho(broker.port, "meter", "m", clean=True)
    other = Paho(broker.port, "other", "o", clean=True)
    started = time.monotonic()
    for number in range(MESSAGES):
        flooding.client.publish(UP.format("meter"), b"%d" % number, qos=0)
    deadline = time.monotonic() + WAIT_S
    while not broker.run(lambda: broker.broker.counters.throttled):
        assert time.monotonic() < deadline
    last = flooding.client.publish(UP.format("meter"), b"end", qos=1)
    other.publish(UP.format("other"), b"1")
    assert not last.is_published(), "the other one did not wait"
    last.wait_for_publish(WAIT_S)

    owed_s = (MESSAGES - 50) / 200
    assert time.monotonic() - started > owed_s / 2
    taken = [one.payload for one in broker.sink.stored if one.device == "meter"]
    assert taken == [*(b"%d" % number for number in range(MESSAGES)), b"end"]
    lines = [one.getMessage() for one in caplog.records if "slowed down" in one.getMessage()]
    assert len(lines) == 1
    assert lines[0].startswith("device meter: ")
    assert broker.run(lambda: broker.broker.overload).throttled == ("meter",)
    assert broker.run(lambda: broker.broker.problems) == (
        "MQTT: devices send more than they may and are slowed down: meter",
    )
    flooding.stop()
    other.stop()


def test_a_device_that_connects_in_a_loop_is_refused_for_a_while(start_broker, mqtt):
    broker = start_broker(connects_per_s_per_device=0.001, connects_burst_per_device=2)
    answers = []
    for _ in range(3):
        peer = Raw(broker.port)
        peer.send(mqtt.connect("meter", "c"))
        connack = peer.packet()
        assert connack is not None
        answers.append(connack[3])
        peer.socket.close()
    assert answers == [0, 0, 3]
