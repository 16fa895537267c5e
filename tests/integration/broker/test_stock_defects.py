"""The 18 ways, A to R, in which stock amqtt 0.12.1 was seen to fail, each against a running broker.

They say nothing of how a broker is built, so the same file runs against stock amqtt, where each one
fails, which is how to see that they can:

    SMARTSHARE_BROKER=stock pytest tests/integration/broker/test_stock_defects.py
"""

import contextlib
import json
import os
import queue
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from gateway.broker.certificates import CertificateFolder
from gateway.clock import SystemClock
from tests.support import mqtt5
from tests.support.mqtt_peer import Mqtt, Raw

pytestmark = [pytest.mark.integration, pytest.mark.slow]

BROKER = os.environ.get("SMARTSHARE_BROKER", "ours")
START_S = 30.0
# For what must come; a broker that never sends it costs this in each test.
WAIT_S = 30.0 if BROKER == "ours" else 5.0
OK = b"\x20\2\0\0"
REFUSED = 5
RESUMED = b"\x20\2\1\0"
PINGREQ, PINGRESP, DISCONNECT = b"\xc0\0", b"\xd0\0", b"\xe0\0"
UP = "dev/meter/up"
SESSION_BYTES_MAX = 24_000  # what stock amqtt takes; see the benchmark for both


class Target:
    """The broker's process, its ports, and what it stored."""

    def __init__(self, **options: Any) -> None:
        command = [sys.executable, "-m", "tests.support.broker_target", BROKER, json.dumps(options)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.peers: list[Raw] = []
        self.lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        self.ports: dict[str, int] = json.loads(self.lines.get(timeout=START_S))

    def tell(self, word: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()
        assert self.lines.get(timeout=START_S) == word

    def raw(self, *packets: bytes, **options: Any) -> Raw:
        self.peers.append(Raw(self.ports["mqtt"], **options))
        return self.peers[-1].send(*packets)

    def connected(
        self,
        user: str,
        client_id: str,
        *packets: bytes,
        receive_buffer: int | None = None,
        **options: Any,
    ) -> Raw:
        connect = Mqtt.connect(user, client_id, **options)
        peer = self.raw(connect, *packets, receive_buffer=receive_buffer)
        assert peer.packet(WAIT_S) in (OK, RESUMED)
        return peer

    def subscribed(
        self, user: str, client_id: str, topic_filter: str, qos: int = 1, **options: Any
    ) -> Raw:
        peer = self.connected(user, client_id, Mqtt.subscribe(topic_filter, qos), **options)
        assert peer.packet(WAIT_S) == b"\x90\3\0\1" + bytes((qos,))
        return peer

    def rss(self) -> int:
        return int(psutil.Process(self.process.pid).memory_info().rss)

    def stop(self) -> None:
        for peer in self.peers:
            peer.close()
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        try:
            self.process.wait(START_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with contextlib.suppress(ValueError):
            for line in self.process.stdout:
                self.lines.put(line.strip())


StartTarget = Callable[..., Target]


@pytest.fixture
def start() -> Iterator[StartTarget]:
    started: list[Target] = []

    def start_target(**options: Any) -> Target:
        started.append(Target(**options))
        return started[-1]

    yield start_target
    for one in started:
        one.stop()


@pytest.fixture
def target(start: StartTarget) -> Target:
    return start()


def publish(target: Target, topic: str, payload: bytes, qos: int = 1, flags: int = 0) -> None:
    """Publish as a client of its own, and wait until the broker has taken it."""
    writer = target.connected("service", "writer")
    writer.send(Mqtt.publish(topic, payload, qos, 1, flags), PINGREQ)
    answers = {writer.packet(WAIT_S)} | ({writer.packet(WAIT_S)} if qos else set())
    assert PINGRESP in answers
    writer.send(DISCONNECT).close()


def is_alive(peer: Raw) -> bool:
    peer.send(PINGREQ)
    return peer.packet(WAIT_S) == PINGRESP


def leave(peer: Raw) -> None:
    assert peer.send(DISCONNECT).is_closed()
    peer.close()


def test_a_wrong_password_does_not_touch_the_session_of_its_client_id(target):
    victim = target.subscribed("service", "victim-a", "a", clean=False)

    for clean in (False, True):
        attacker = target.raw(Mqtt.connect("service", "victim-a", clean, password="guess"))
        assert (attacker.packet(WAIT_S) or OK)[3] == REFUSED

    assert is_alive(victim)
    publish(target, "a", b"x")
    assert (victim.packet(WAIT_S) or b"").endswith(b"x")


def test_b_nobody_receives_retained_messages_that_others_subscribed_to(target):
    reader = target.subscribed("service", "reader-b", "secret/#")
    publish(target, "secret/b", b"retained", flags=1)
    assert reader.packet(WAIT_S) is not None

    stranger = target.connected("meter", "stranger-b")

    assert stranger.send(PINGREQ).packet(WAIT_S) == PINGRESP
    assert stranger.is_silent(0.5)


def test_c_silence_beyond_the_keep_alive_closes_and_sends_the_will(target):
    reader = target.subscribed("service", "reader-c", "dev/meter/state")

    silent = target.connected("meter", "silent-c", keep_alive=1, will=("dev/meter/state", "gone"))

    assert b"gone" in (reader.packet(WAIT_S) or b"")
    assert silent.is_closed()


def test_d_a_burst_with_disconnect_behind_it_is_taken_whole(target):
    reader = target.subscribed("service", "reader-d", "dev/meter/burst", 0)
    burst = [Mqtt.publish("dev/meter/burst", b"%03d" % number) for number in range(100)]

    target.connected("meter", "burst-d", *burst, DISCONNECT)

    received = [(reader.packet(WAIT_S) or b"")[-3:] for _ in range(100)]
    assert received == [b"%03d" % number for number in range(100)]


def test_e_what_was_not_acknowledged_comes_again_marked_dup(target):
    reader = target.subscribed("service", "reader-e", "e", clean=False)
    publish(target, "e", b"once more")
    first = reader.packet(WAIT_S)
    assert first is not None
    leave(reader)

    again = target.connected("service", "reader-e", clean=False).packet(WAIT_S)

    assert again == bytes((first[0] | 8,)) + first[1:]


def test_f_puback_comes_only_after_the_reading_is_stored(target):
    target.tell("shut")
    device = target.connected("meter", "device-f", Mqtt.publish(UP, b"f", 1, 7))
    try:
        assert device.is_silent(0.5)
    finally:
        target.tell("open")

    assert target.lines.get(timeout=WAIT_S) == "f"
    assert device.packet(WAIT_S) == b"\x40\2\0\7"


def test_g_connections_have_a_deadline_and_packets_a_limit(start):
    target = start(connect_timeout_s=0.5)
    huge = target.connected("service", "huge-g", b"\x30\xff\xff\xff\x7f")
    silent = target.raw()

    assert silent.packet(WAIT_S) is None
    assert huge.packet(WAIT_S) is None


def test_h_a_slow_consumer_does_not_fill_the_memory(start):
    target = start()
    target.subscribed("service", "slow-h", "flood", 0, receive_buffer=4_096)
    before = target.rss()

    writer = target.connected("service", "writer-h")
    for _ in range(60):
        writer.send(*[Mqtt.publish("flood", bytes(100_000))] * 10, PINGREQ)
        assert writer.packet(30) == PINGRESP

    assert target.rss() - before < 30_000_000  # of 60 MB that were published


def test_i_silent_connections_do_not_take_the_slots_for_good(start):
    target = start(connections_max=5, connect_timeout_s=0.5)
    for _ in range(5):
        target.raw()

    deadline = time.monotonic() + WAIT_S
    answer = None
    while answer != OK and time.monotonic() < deadline:
        with contextlib.suppress(TimeoutError, ConnectionError):
            answer = target.raw(Mqtt.connect("meter", "late-i")).packet(1.0)
    assert answer == OK


def test_j_a_publish_to_a_dollar_topic_leaves_the_connection_in_order(target):
    reader = target.subscribed("service", "reader-j", "j", 0)
    bridge = target.connected("service", "bridge-j")

    bridge.send(Mqtt.publish("$SYS/broker/connection/x/state", b"1", 1, 7, flags=1))
    assert bridge.packet(WAIT_S) == b"\x40\2\0\7"
    bridge.send(Mqtt.publish("j", b"still there"))

    assert (reader.packet(WAIT_S) or b"").endswith(b"still there")


def test_k_the_qos_is_the_lower_one_and_a_message_that_waited_has_no_retain_flag(target):
    reader = target.subscribed("service", "reader-k", "k/+", clean=False)
    publish(target, "k/low", b"x", qos=0)
    low = reader.packet(WAIT_S)
    assert low == Mqtt.publish("k/low", b"x", 0)
    leave(reader)
    publish(target, "k/late", b"x")

    late = target.connected("service", "reader-k", clean=False).packet(WAIT_S)

    assert late is not None
    assert late[0] & 1 == 0


def test_l_subscribers_that_come_and_go_cost_others_no_message(target):
    target.subscribed("service", "first-l", "l/#", 0)
    reader = target.subscribed("service", "reader-l", "l/x", 0)
    churning, writer = target.connected("service", "churn-l"), target.connected("service", "w-l")
    stop = threading.Event()

    def churn() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            filters = [f"l/{number % 97}/{part}" for part in "abc"]
            churning.send(*(Mqtt.subscribe(one) for one in filters))
            churning.send(*(Mqtt.frame(0xA2, b"\0\2" + Mqtt.text(one)) for one in filters), PINGREQ)
            while churning.packet(WAIT_S) not in (PINGRESP, None):
                pass

    thread = threading.Thread(target=churn)
    thread.start()
    received = 0
    try:
        for _ in range(30):
            writer.send(*[Mqtt.publish("l/x", b"x")] * 50)
            with contextlib.suppress(TimeoutError):
                received += sum(reader.packet(WAIT_S) is not None for _ in range(50))
    finally:
        stop.set()
        thread.join(START_S)

    assert received == 30 * 50


def test_m_an_anonymous_clients_session_is_kept_too(target):
    leave(target.subscribed("", "anonymous-m", "open/m", clean=False))
    publish(target, "open/m", b"waited")

    returned = target.connected("", "anonymous-m", clean=False)

    assert b"waited" in (returned.packet(WAIT_S) or b"")


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    folder = CertificateFolder(tmp_path / "tls")
    folder.ensure("gw1", {"127.0.0.1"}, SystemClock().now_ms())
    return tmp_path / "tls"


def answer_over_tls(port: int, authority: Path) -> bytes:
    context = ssl.create_default_context(cafile=str(authority))
    with (
        contextlib.suppress(OSError),
        socket.create_connection(("127.0.0.1", port), timeout=WAIT_S) as tcp,
        context.wrap_socket(tcp, server_hostname="127.0.0.1") as tls,
    ):
        tls.sendall(Mqtt.connect("meter", "tls"))
        return tls.recv(4)
    return b""


def test_n_a_client_certificate_that_is_required_must_be_shown(start, certificates):
    target = start(tls=str(certificates), client_certificates=True)

    assert answer_over_tls(target.ports["mqtts"], certificates / "authority.pem") == b""


def test_o_a_plain_listener_beside_one_with_tls_is_plain(start, certificates):
    target = start(tls=str(certificates))

    assert answer_over_tls(target.ports["mqtts"], certificates / "authority.pem") == OK
    assert target.raw(Mqtt.connect("meter", "plain-o")).packet(WAIT_S) == OK


def test_p_a_page_of_another_site_may_not_connect_by_websocket(start):
    target = start(websocket=True)
    request = (
        "GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Protocol: mqtt\r\nOrigin: {origin}\r\n\r\n"
    )
    statuses = []
    for origin in ("http://127.0.0.1", "https://evil.example"):
        with socket.create_connection(("127.0.0.1", target.ports["ws"]), timeout=WAIT_S) as tcp:
            tcp.sendall(request.format(port=target.ports["ws"], origin=origin).encode())
            statuses.append(tcp.recv(4_096).split(b" ")[1])

    assert statuses == [b"101", b"403"]


def test_q_subscribing_again_changes_the_qos(target):
    reader = target.subscribed("service", "reader-q", "q", 0)
    reader.send(Mqtt.subscribe("q", 1, packet_id=2))
    assert reader.packet(WAIT_S) == b"\x90\3\0\2\1"

    publish(target, "q", b"x")

    assert (reader.packet(WAIT_S) or b"\0")[0] >> 1 & 3 == 1


def test_r_sessions_are_small_and_mqtt_5_is_spoken(start):
    target = start()
    for number in range(50):  # so that what is there once for all is not counted
        target.connected("service", f"warm-{number}")
    before = target.rss()
    for number in range(300):
        target.connected("service", f"many-{number}")
    per_session = (target.rss() - before) / 300
    answer = target.raw(mqtt5.connect("five-r")).packet(WAIT_S)

    assert answer is not None
    assert answer[3] == 0, "MQTT 5 was refused"
    assert per_session < SESSION_BYTES_MAX
