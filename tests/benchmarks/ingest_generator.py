"""Load for `bench_ingest.py`, in a process of its own: publishers, one message per write.

    ingest_generator.py load PORT PID CLIENTS WINDOW SECONDS    QoS 1, closed loop
    ingest_generator.py flood PORT PID CLIENTS SECONDS          QoS 0, as fast as the broker takes it

PID is the broker's process. Prints one JSON object. What must not limit the rate is prepared before:
each publisher has a ring of packets with different ids and values, and an acknowledgement is compared
with the bytes that must come. Acknowledgements that come in another order end the run.
"""

import json
import resource
import select
import socket
import statistics
import sys
import time
from collections.abc import Callable, Iterable

import psutil

from gateway.model import topics

GATEWAY = "bench"
PASSWORD = "bench-password"
WARM_UP_S = 0.5
RING = 64  # packets of a publisher; no window is larger
RSS_INTERVAL_S = 1.0
PAYLOAD = b'{"time":1700000%03d,"power_active_total":1%03d.5,"energy_import_total":43%03d.125}'


def text(value: str) -> bytes:
    return len(value).to_bytes(2, "big") + value.encode()


def device_name(number: int) -> str:
    return f"meter{number}"


class Publisher:
    """One device: sends its ring of packets over and over, each by a system call of its own."""

    def __init__(self, port: int, number: int, qos: int) -> None:
        name = device_name(number)
        self.sock = socket.create_connection(("127.0.0.1", port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        body = text("MQTT") + b"\4\xc2\0\0" + text(name) + text(name) + text(PASSWORD)
        self.sock.sendall(bytes((0x10, len(body))) + body)
        connack = self.sock.recv(4)
        assert connack == b"\x20\2\0\0", connack
        self.sock.setblocking(False)
        topic = text(topics.device(GATEWAY, name, "up"))
        ids = [packet_id.to_bytes(2, "big") for packet_id in range(1, RING + 1)]
        self.packets = [
            publish(qos, topic, packet_id, PAYLOAD % ((number + place,) * 3))
            for place, packet_id in enumerate(ids)
        ]
        self.expected = b"".join(b"\x40\2" + packet_id for packet_id in ids) * 2
        self.expected_at = 0
        self.next = 0
        self.rest = b""
        self.sent_at = 0.0
        self.acknowledged = 0

    def send(self, count: int) -> None:
        self.sent_at = time.perf_counter()
        for place in range(self.next, self.next + count):
            packet = self.packets[place % RING]
            assert self.sock.send(packet) == len(packet)
        self.next = (self.next + count) % RING

    def on_readable(self) -> None:
        """Take acknowledgements, and send as many messages."""
        data = self.sock.recv(65_536)
        assert data, "the broker closed the connection"
        expected = self.expected[self.expected_at : self.expected_at + len(data)]
        assert data == expected, "an acknowledgement is wrong or out of turn"
        self.expected_at = (self.expected_at + len(data)) % (4 * RING)
        before = self.acknowledged // 4
        self.acknowledged += len(data)  # in bytes
        count = self.acknowledged // 4 - before
        self.send(count)


def publish(qos: int, topic: bytes, packet_id: bytes, payload: bytes) -> bytes:
    body = topic + (packet_id if qos else b"") + payload
    assert len(body) < 128, "the remaining length is written as one byte"
    return bytes((0x30 | qos << 1, len(body))) + body


class Load:
    """All publishers on one epoll."""

    def __init__(self, publishers: list[Publisher]) -> None:
        self.epoll = select.epoll()
        self.by_fd = {one.sock.fileno(): one.on_readable for one in publishers}
        for fd in self.by_fd:
            self.epoll.register(fd, select.EPOLLIN)
        self.latencies: list[float] = []

    def run(self, seconds: float) -> None:
        until = time.perf_counter() + seconds
        by_fd = self.by_fd
        while time.perf_counter() < until:
            for fd, _ in self.epoll.poll(0.1):
                by_fd[fd]()

    def run_singly(self, publisher: Publisher, seconds: float) -> None:
        """Note each latency of a publisher with one message in flight."""
        until = time.perf_counter() + seconds
        while (now := time.perf_counter()) < until:
            if self.epoll.poll(0.1):
                sent_at = publisher.sent_at
                now = time.perf_counter()
                publisher.on_readable()
                self.latencies.append(now - sent_at)


def cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def measure(port: int, pid: int, clients: int, window: int, seconds: float) -> dict[str, float]:
    publishers = [Publisher(port, number, 1) for number in range(clients)]
    for publisher in publishers:
        publisher.send(window)
    load, broker = Load(publishers), psutil.Process(pid)
    load.run(WARM_UP_S)
    run: Callable[[], None] = lambda: load.run(seconds)  # noqa: E731
    if clients == window == 1:
        run = lambda: load.run_singly(publishers[0], seconds)  # noqa: E731
    before = sum(publisher.acknowledged for publisher in publishers)
    broker_before, own_before, started = cpu_s(broker), time.process_time(), time.perf_counter()
    run()
    elapsed_s = time.perf_counter() - started
    count = (sum(publisher.acknowledged for publisher in publishers) - before) // 4
    result = {
        "rate": count / elapsed_s,
        "cpu_share": (time.process_time() - own_before) / elapsed_s,
        "broker_us": (cpu_s(broker) - broker_before) / count * 1e6,
    }
    if load.latencies:
        percentiles = statistics.quantiles(load.latencies, n=100)
        result |= {"p50_ms": percentiles[49] * 1_000, "p99_ms": percentiles[98] * 1_000}
    return result


def flood(port: int, pid: int, clients: int, seconds: float) -> dict[str, float]:
    """Send QoS 0 wherever a socket takes more; give the broker's memory before, amid and at the end."""
    publishers = [Publisher(port, number, 0) for number in range(clients)]
    broker, epoll = psutil.Process(pid), select.epoll()
    by_fd = {one.sock.fileno(): one for one in publishers}
    for fd in by_fd:
        epoll.register(fd, select.EPOLLOUT)
    memory = [broker.memory_info().rss]
    sent, started = 0, time.perf_counter()
    next_look = started + RSS_INTERVAL_S
    while (now := time.perf_counter()) < started + seconds:
        if now >= next_look:
            memory.append(broker.memory_info().rss)
            next_look += RSS_INTERVAL_S
        sent += sum(send_one(by_fd[fd]) for fd, _ in epoll.poll(0.1))
    half = memory[1 : len(memory) // 2 + 1]
    return {
        "sent": sent,
        "rate": sent / seconds,
        "rss_before_mb": memory[0] / 1e6,
        "rss_first_half_mb": peak_mb(half),
        "rss_second_half_mb": peak_mb(memory[len(half) + 1 :]),
    }


def send_one(publisher: Publisher) -> bool:
    """Send a message, or what is left of the last one; tell whether it is gone whole."""
    packet = publisher.rest or publisher.packets[publisher.next]
    sent = publisher.sock.send(packet)
    publisher.rest = packet[sent:]
    if publisher.rest:
        return False
    publisher.next = (publisher.next + 1) % RING
    return True


def peak_mb(sizes: Iterable[int]) -> float:
    return max(sizes, default=0) / 1e6


def main() -> None:
    files_max = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (files_max, files_max))
    mode, *arguments, seconds = sys.argv[1:]
    numbers = [int(argument) for argument in arguments]
    if mode == "flood":
        port, pid, clients = numbers
        print(json.dumps(flood(port, pid, clients, float(seconds))))
    else:
        port, pid, clients, window = numbers
        print(json.dumps(measure(port, pid, clients, window, float(seconds))))


if __name__ == "__main__":
    main()
