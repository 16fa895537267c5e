"""One test per way in which a broker was seen to lose data, leak it, or be brought down."""

import socket
import threading
import time

import pytest

from gateway.errors import Rejected, RejectReason

pytestmark = pytest.mark.integration

UP = "ss/v1/gw1/dev/meter/up"
OK = b"\x20\2\0\0"
REFUSED = b"\x20\2\0\5"


def puback(packet_id):
    return b"\x40\2" + packet_id.to_bytes(2, "big")


def test_wrong_passwords_do_not_disturb_the_victim(raw, mqtt):
    victim = raw(mqtt.connect("meter", "m1"))
    assert victim.packet() == OK

    for clean in (True, False) * 50:
        attacker = raw(mqtt.connect("meter", "m1", clean=clean, password="guess"))
        assert attacker.packet() == REFUSED
        assert attacker.is_closed()
        attacker.socket.close()

    assert victim.send(b"\xc0\0").packet() == b"\xd0\0"


def test_a_wrong_password_does_not_wipe_a_stored_session(raw, mqtt, paho):
    owner = raw(mqtt.connect("service", "keeper", clean=False), mqtt.subscribe("a", 1))
    assert owner.packet() == OK
    assert owner.packet() == b"\x90\3\0\1\1"
    assert owner.send(b"\xe0\0").is_closed()
    paho("service").publish("a", b"waits")

    attacker = raw(mqtt.connect("service", "keeper", clean=True, password="guess"))
    assert attacker.packet() == REFUSED

    owner = raw(mqtt.connect("service", "keeper", clean=False))
    assert owner.packet() == b"\x20\2\1\0"
    assert owner.packet() == mqtt.publish("a", b"waits", 1, 1)


def test_another_principal_with_the_same_client_id_touches_nothing(raw, mqtt):
    victim = raw(mqtt.connect("meter", "same"))
    assert victim.packet() == OK

    assert raw(mqtt.connect("other", "same")).packet() == OK

    assert victim.send(b"\xc0\0").packet() == b"\xd0\0"


def test_a_second_connection_of_the_same_client_takes_over_with_its_will(raw, mqtt, paho):
    reader = paho("service")
    reader.subscribe("ss/v1/gw1/dev/meter/state", 1)
    will = ("ss/v1/gw1/dev/meter/state", "lost")
    first = raw(mqtt.connect("meter", "m1", will=will))
    assert first.packet() == OK

    assert raw(mqtt.connect("meter", "m1")).packet() == OK

    assert first.is_closed()
    assert reader.next().payload == b"lost"


def test_a_will_outside_the_rights_never_leaves(raw, mqtt, paho):
    reader = paho("service")
    reader.subscribe("#", 1)

    attacker = raw(mqtt.connect("meter", will=("actuator/door", "open")))
    assert attacker.packet() == REFUSED
    assert attacker.is_closed()

    paho("service").publish("done", b"")
    assert reader.next().topic == "done"


def test_a_lost_connection_sends_its_will(raw, mqtt, paho):
    reader = paho("service")
    reader.subscribe("ss/v1/gw1/dev/meter/state", 1)
    peer = raw(mqtt.connect("meter", will=("ss/v1/gw1/dev/meter/state", "offline")))
    assert peer.packet() == OK

    peer.socket.close()

    assert reader.next().payload == b"offline"


def test_who_subscribes_to_nothing_receives_nothing(raw, mqtt, paho):
    other = paho("service")
    other.subscribe("#", 1)
    other.publish("a/secret", b"x", retain=True)

    silent = raw(mqtt.connect("meter"))
    assert silent.packet() == OK
    other.publish("b", b"y")

    assert silent.is_silent()


def test_idle_connections_run_out_of_time_and_of_slots_for_nobody_else(start_broker, mqtt, raw):
    broker = start_broker(connections_max=8, connect_timeout_s=0.4)
    idle = [raw(port=broker.port) for _ in range(8)]
    assert raw(port=broker.port).is_closed()

    assert all(peer.is_closed() for peer in idle)

    assert raw(mqtt.connect("meter"), port=broker.port).packet() == OK
    assert broker.broker.counters.refused_connections >= 1


@pytest.mark.parametrize("head", [b"\x10\xff\xff\x7f", b"\x10\x81\x80\x04"])
def test_a_huge_connect_is_refused_from_its_header(raw, head):
    assert raw(head).is_closed()


def test_a_huge_publish_is_refused_from_its_header(raw, mqtt):
    peer = raw(mqtt.connect("meter"))
    assert peer.packet() == OK

    assert peer.send(b"\x30\x81\x80\x10").is_closed()


def test_silence_beyond_the_keep_alive_closes_and_sends_the_will(raw, mqtt, paho):
    reader = paho("service")
    reader.subscribe("ss/v1/gw1/dev/meter/state", 1)
    started = time.monotonic()

    peer = raw(mqtt.connect("meter", keep_alive=1, will=("ss/v1/gw1/dev/meter/state", "gone")))
    assert peer.packet() == OK
    assert peer.is_closed()

    assert 1.3 < time.monotonic() - started < 5
    assert reader.next().payload == b"gone"


def test_a_pinging_client_stays(raw, mqtt):
    peer = raw(mqtt.connect("meter", keep_alive=1))
    assert peer.packet() == OK
    until = time.monotonic() + 2.5

    while time.monotonic() < until:
        assert peer.send(b"\xc0\0").packet() == b"\xd0\0"
        assert peer.is_silent(0.5)


@pytest.mark.parametrize(
    "topic", [b"a\0b", b"a\xff", b"\xed\xa0\x80", b"", b"a/#", b"+"], ids=lambda t: repr(t)
)
def test_a_forbidden_topic_name_closes_only_its_own_connection(raw, mqtt, topic):
    bystander = raw(mqtt.connect("service", "bystander"))
    assert bystander.packet() == OK
    peer = raw(mqtt.connect("service", "sender"))
    assert peer.packet() == OK

    assert peer.send(mqtt.publish(topic, b"x", 1)).is_closed()

    assert bystander.send(b"\xc0\0").packet() == b"\xd0\0"


def test_a_publish_to_a_dollar_topic_is_dropped_quietly(raw, mqtt, paho):
    reader = paho("service")
    reader.subscribe("#", 1)
    peer = raw(mqtt.connect("service"))
    assert peer.packet() == OK

    peer.send(mqtt.publish("$SYS/broker/connection/x/state", b"1", 1, 7, flags=1))
    assert peer.packet() == puback(7)
    assert peer.send(mqtt.publish("a", b"after", 1, 8)).packet() == puback(8)

    assert reader.next().payload == b"after"


def test_a_burst_with_disconnect_behind_it_keeps_everything(raw, mqtt, broker):
    burst = [mqtt.publish(UP, b"%d" % n, n % 2, n) for n in range(1, 5_001)]

    peer = raw(mqtt.connect("meter"), *burst, b"\xe0\0")
    assert peer.is_closed()

    assert [broker.sink.arrived.get(timeout=10).payload for _ in range(5_000)] == [
        b"%d" % n for n in range(1, 5_001)
    ]


def test_puback_comes_only_after_the_reading_is_stored(raw, mqtt, broker):
    broker.sink.is_open = False
    peer = raw(mqtt.connect("meter"), mqtt.publish(UP, b"1", 1, 7))
    assert peer.packet() == OK
    broker.sink.arrived.get(timeout=10)
    assert peer.is_silent()
    assert peer.send(b"\xc0\0").packet() == b"\xd0\0"

    broker.run(broker.sink.commit)

    assert peer.packet() == puback(7)


def test_a_qos_2_reading_is_stored_once_and_completed_after_it(raw, mqtt, broker):
    broker.sink.is_open = False
    peer = raw(mqtt.connect("meter"), *[mqtt.publish(UP, b"1", 2, 7)] * 3)
    assert peer.packet() == OK
    broker.sink.arrived.get(timeout=10)
    assert peer.is_silent()

    broker.run(broker.sink.commit)

    assert peer.packet() == b"\x50\2\0\7"
    assert peer.send(b"\x62\2\0\7").packet() == b"\x70\2\0\7"
    assert len(broker.sink.stored) == 1


def test_a_lost_reading_closes_the_connection_so_that_it_is_sent_again(raw, mqtt, broker):
    broker.sink.is_open = False
    peer = raw(mqtt.connect("meter"), mqtt.publish(UP, b"1", 1, 7))
    assert peer.packet() == OK
    broker.sink.arrived.get(timeout=10)

    _, source = broker.sink.waiting.pop()
    broker.run(lambda: source.refused(Rejected(RejectReason.STORE_FAILED, "disk full")))

    assert peer.packet() is None


def test_a_poison_reading_is_acknowledged_and_its_reason_published(raw, mqtt, broker, paho):
    reader = paho("service")
    reader.subscribe("ss/v1/gw1/dev/+/rejected", 1)
    broker.sink.is_open = False
    peer = raw(mqtt.connect("meter"), mqtt.publish(UP, b"?", 1, 7))
    assert peer.packet() == OK
    broker.sink.arrived.get(timeout=10)

    _, source = broker.sink.waiting.pop()
    broker.run(lambda: source.refused(Rejected(RejectReason.MALFORMED, "not JSON")))

    assert peer.packet() == puback(7)
    assert b'"malformed"' in reader.next().payload
    assert broker.broker.counters.rejected == 1


def test_unacknowledged_messages_come_again_with_dup(raw, mqtt, paho):
    first = raw(mqtt.connect("service", "keeper", clean=False), mqtt.subscribe("a", 1))
    assert [first.packet(), first.packet()] == [OK, b"\x90\3\0\1\1"]
    writer = paho("service")
    writer.publish("a", b"1")
    writer.publish("a", b"2")
    assert first.packet() == mqtt.publish("a", b"1", 1, 1)
    assert first.packet() == mqtt.publish("a", b"2", 1, 2)
    assert first.send(puback(1), b"\xe0\0").is_closed()
    writer.publish("a", b"3")

    again = raw(mqtt.connect("service", "keeper", clean=False))

    assert again.packet() == b"\x20\2\1\0"
    assert again.packet() == mqtt.publish("a", b"2", 1, 2, flags=8)
    assert again.packet() == mqtt.publish("a", b"3", 1, 3)


def test_a_slow_consumer_is_bounded_and_harms_nobody(start_broker, raw, mqtt, paho, broker):
    slow = raw(mqtt.connect("service", "slow"), mqtt.subscribe("flood", 0), receive_buffer=4_096)
    assert [slow.packet(), slow.packet()] == [OK, b"\x90\3\0\1\0"]
    writer = raw(mqtt.connect("service", "writer"))
    assert writer.packet() == OK

    for number in range(1, 301):
        writer.send(mqtt.publish("flood", bytes(100_000), 1, number))
        assert writer.packet() == puback(number)

    # 30 MB were published; beyond the socket buffers the session may hold 1 MiB.
    assert broker.broker.counters.dropped > 200
    fast = paho("service")
    fast.subscribe("calm", 1)
    fast.publish("calm", b"x")
    assert fast.next().payload == b"x"


def test_a_consumer_that_takes_nothing_is_cut_off(start_broker, raw, mqtt):
    broker = start_broker(write_timeout_s=0.5)
    slow = raw(
        mqtt.connect("service", "slow"),
        mqtt.subscribe("flood", 0),
        receive_buffer=4_096,
        port=broker.port,
    )
    assert [slow.packet(), slow.packet()] == [OK, b"\x90\3\0\1\0"]
    writer = raw(mqtt.connect("service", "writer"), port=broker.port)
    assert writer.packet() == OK
    for number in range(1, 101):
        assert writer.send(mqtt.publish("flood", bytes(100_000), 1, number)).packet()

    deadline = time.monotonic() + 10
    while broker.broker.counters.connections > 1 and time.monotonic() < deadline:
        assert writer.send(b"\xc0\0").packet() == b"\xd0\0"
    assert broker.broker.counters.connections == 1


def test_a_peer_that_publishes_but_never_reads_is_not_buffered_for(start_broker, raw, mqtt):
    broker = start_broker(write_timeout_s=0.5)
    peer = raw(mqtt.connect("service"), receive_buffer=4_096, port=broker.port)
    assert peer.packet() == OK
    peer.socket.settimeout(5)
    chunk = b"".join(mqtt.publish("a", b"", 1, n) for n in range(1, 2_000))

    def flood() -> None:
        for _ in range(2_000):
            peer.socket.sendall(chunk)

    with pytest.raises((ConnectionError, TimeoutError)):
        flood()


def test_churning_subscribers_do_not_lose_a_message_for_others(raw, mqtt, paho):
    reader, writer = paho("service"), paho("service")
    reader.subscribe("c/#", 1)
    stop = threading.Event()

    def churn() -> None:
        peer = raw(mqtt.connect("service", "churn"))
        assert peer.packet() == OK
        while not stop.is_set():
            peer.send(mqtt.subscribe("c/+", 0), mqtt.frame(0xA2, b"\0\2" + mqtt.text("c/+")))
            kinds = set()
            while 0xB0 not in kinds:
                kinds.add((peer.packet() or b"\xb0")[0])

    thread = threading.Thread(target=churn)
    thread.start()
    received = []
    try:
        for start in range(0, 1_500, 500):  # fewer than a slow reader's queue holds
            for number in range(start, start + 500):
                writer.client.publish("c/1", b"%d" % number, 1)
            received += [reader.next().payload for _ in range(500)]
    finally:
        stop.set()
        thread.join(10)

    assert received == [b"%d" % n for n in range(1_500)]


@pytest.mark.parametrize(
    ("user", "action", "topic", "is_allowed"),
    [
        ("meter", "publish", "ss/v1/gw1/dev/meter/state", True),
        ("meter", "publish", "ss/v1/gw1/dev/other/up", False),
        ("meter", "publish", "shared/x", False),
        ("meter", "subscribe", "ss/v1/gw1/dev/meter/+", True),
        ("meter", "subscribe", "shared/#", True),
        ("meter", "subscribe", "ss/v1/gw1/dev/+/up", False),
        ("meter", "subscribe", "ss/v1/gw1/#", False),
        ("meter", "subscribe", "#", False),
        ("meter", "subscribe", "$SYS/#", False),
        ("service", "publish", "anything", True),
        ("service", "subscribe", "#", True),
        ("service", "subscribe", "$SYS/#", False),
    ],
)
def test_the_access_matrix(raw, mqtt, paho, user, action, topic, is_allowed):
    peer = raw(mqtt.connect(user))
    assert peer.packet() == OK
    if action == "subscribe":
        assert peer.send(mqtt.subscribe(topic, 1)).packet() == (
            b"\x90\3\0\1" + (b"\1" if is_allowed else b"\x80")
        )
        return
    reader = paho("service")
    reader.subscribe("#", 1)
    assert peer.send(mqtt.publish(topic, b"x", 1, 1)).packet() == puback(1)
    reader.publish("end", b"")
    assert reader.next().topic == (topic if is_allowed else "end")


def test_garbage_and_half_packets_leave_the_broker_well(raw, mqtt, broker):
    for data in (b"\xff" * 100, b"GET / HTTP/1.0\r\n\r\n", b"\x10", mqtt.connect("meter")[:-3]):
        peer = raw(data)
        peer.socket.shutdown(socket.SHUT_WR)
        assert peer.is_closed()

    assert raw(mqtt.connect("meter")).packet() == OK
    assert broker.broker.counters.connections == 1


def test_stopping_closes_clients_and_leaves_unstored_readings_unacknowledged(
    start_broker, raw, mqtt
):
    broker = start_broker()
    broker.sink.is_open = False
    peer = raw(mqtt.connect("meter"), mqtt.publish(UP, b"1", 1, 7), port=broker.port)
    assert peer.packet() == OK
    broker.sink.arrived.get(timeout=10)

    broker.stop()

    assert peer.packet() is None


def test_a_subscribe_bomb_does_not_reach_the_event_loop(raw, mqtt, broker, paho):
    paho("service").publish("shared/x", b"kept", retain=True)
    peer = raw(mqtt.connect("meter"))
    assert peer.packet() == OK

    body = b"\0\1" + (mqtt.text("shared/+") + b"\0") * 12_000
    assert peer.send(mqtt.frame(0x82, body)).packet() is None


def test_withdrawn_rights_end_the_connection_and_others_go_on(raw, mqtt, broker):
    meter, other = raw(mqtt.connect("meter")), raw(mqtt.connect("other"))
    assert [meter.packet(), other.packet()] == [OK, OK]

    broker.run(lambda: broker.broker.recheck(lambda principal: principal.name == "other"))
    assert meter.is_closed()
    assert other.send(b"\xc0\0").packet() == b"\xd0\0"

    broker.run(lambda: broker.broker.disconnect({"other"}))
    assert other.is_closed()
    assert broker.run(lambda: broker.broker.counters.sessions) == 0


def test_a_password_changed_during_its_verification_counts_no_more(raw, mqtt):
    assert raw(mqtt.connect("late")).packet() == b"\x20\2\0\3"


def test_looking_at_everybodys_rights_holds_up_nobody_who_is_being_let_in(raw, mqtt, broker):
    broker.meanwhile = lambda: broker.broker.recheck(lambda _principal: True)
    assert raw(mqtt.connect("late")).packet() == OK

    broker.run(lambda: broker.broker.recheck(lambda _principal: False))
    assert broker.run(lambda: broker.broker.counters.sessions) == 0


@pytest.mark.parametrize("user", ["busy", "broken"])
def test_who_cannot_be_verified_now_is_told_to_try_again(raw, mqtt, user, caplog):
    for _ in range(5):
        assert raw(mqtt.connect(user)).packet() == b"\x20\2\0\3"

    assert all(record.exc_info is None for record in caplog.records)
    assert sum("CONNECT" in message for message in caplog.messages) == 1
    assert sum("credentials.json" in message for message in caplog.messages) == (user == "broken")


def test_silent_strangers_leave_room_for_those_who_proved_who_they_are(start_broker, mqtt, raw):
    broker = start_broker(unauthenticated_max=2, connections_loopback_reserved=1)
    known = [raw(mqtt.connect("meter", f"m{n}"), port=broker.port) for n in range(3)]
    assert [peer.packet() for peer in known] == [OK] * 3
    silent = [raw(port=broker.port) for _ in range(3)]

    assert raw(port=broker.port).is_closed()

    assert silent[0].send(mqtt.connect("meter", "m9")).packet() == OK
    assert raw(mqtt.connect("meter", "m10"), port=broker.port).packet() == OK
