"""Keep-alive: who is silent for one and a half of the promised time is gone."""

import time

import pytest

from tests.spec.mqtt.conftest import Desk
from tests.spec.mqtt.peer import WAIT_S, reasons_of
from tests.spec.mqtt.statement import statement
from tests.spec.mqtt.wire import V5, Kind, Will

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@statement(v3="3.1.2-24", v5="3.1.2-22 3.2.2-22")
def test_a_silent_client_is_cut_off_and_its_will_published(mqtt: Desk):
    topic = mqtt.topic("will")
    reader = mqtt.connect()
    reader.subscribe(topic)
    silent = mqtt.connect(will=Will(topic, b"silent"), keep_alive_s=1)

    started = time.monotonic()
    packets = silent.end()

    shortest_s = 1.4 if mqtt.is_ours else 0.9  # mosquitto counts whole seconds
    assert shortest_s < time.monotonic() - started < WAIT_S
    assert reader.message().payload == b"silent"
    if mqtt.is_ours and mqtt.version == V5:
        assert reasons_of(packets, Kind.DISCONNECT) == [0x8D]


@statement(v3="3.1.2-24 3.12.4-1", v5="3.1.2-22 3.12.4-1")
def test_whoever_says_something_in_time_stays(mqtt: Desk):
    peer = mqtt.connect(keep_alive_s=2)

    for _ in range(9):
        time.sleep(0.5)
        peer.ping()


@statement(v3="3.1.2-24", v5="3.1.2-22")
def test_a_keep_alive_of_0_never_ends_a_connection(mqtt: Desk):
    peer = mqtt.connect(keep_alive_s=0)

    time.sleep(3)

    peer.ping()
