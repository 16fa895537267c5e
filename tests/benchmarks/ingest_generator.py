"""Load for `bench_ingest.py`, in a process of its own: QoS 1 publishers, one message per write.

Usage: ingest_generator.py PORT CLIENTS WINDOW SECONDS. Prints one JSON object: messages per second
that were acknowledged after the warm-up, the latencies of PUBACK, and the share of a core used here.
"""

import asyncio
import json
import resource
import socket
import statistics
import sys
import time

import uvloop

from gateway.model import topics

GATEWAY = "bench"
PASSWORD = "bench-password"
WARM_UP_S = 0.5
PAYLOAD = b'{"time":1700000000,"power_active_total":1234.5,"energy_import_total":4321.125}'


def text(value: str) -> bytes:
    return len(value).to_bytes(2, "big") + value.encode()


def device_name(number: int) -> str:
    return f"meter{number}"


class Publisher:
    """One device: keeps `window` messages in flight, each sent by a system call of its own."""

    def __init__(self, port: int, number: int, window: int) -> None:
        name = device_name(number)
        self.sock = socket.create_connection(("127.0.0.1", port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        body = text("MQTT") + b"\4\xc2\0\0" + text(name) + text(name) + text(PASSWORD)
        self.sock.sendall(bytes((0x10, len(body))) + body)
        connack = self.sock.recv(4)
        assert connack == b"\x20\2\0\0", connack
        self.sock.setblocking(False)
        topic = text(topics.device(GATEWAY, name, "up"))
        length = len(topic) + 2 + len(PAYLOAD)
        assert length < 128, "the remaining length is written as one byte"
        self.head = bytes((0x32, length)) + topic
        self.window = window
        self.packet_id = 0
        self.rest = b""
        self.sent_at: dict[int, float] = {}
        self.latencies: list[float] = []
        self.acknowledged = 0

    def start(self) -> None:
        asyncio.get_running_loop().add_reader(self.sock, self.on_readable)
        for _ in range(self.window):
            self.send()

    def send(self) -> None:
        self.packet_id = self.packet_id % 65_535 + 1
        self.sent_at[self.packet_id] = time.perf_counter()
        packet = self.head + self.packet_id.to_bytes(2, "big") + PAYLOAD
        assert self.sock.send(packet) == len(packet)

    def on_readable(self) -> None:
        data = self.rest + self.sock.recv(65_536)
        assert data, "the broker closed the connection"
        now = time.perf_counter()
        whole = len(data) - len(data) % 4
        for position in range(0, whole, 4):
            assert data[position : position + 2] == b"\x40\2"
            sent_at = self.sent_at.pop(int.from_bytes(data[position + 2 : position + 4], "big"))
            if self.window == 1:
                self.latencies.append(now - sent_at)
            self.send()
        self.rest = data[whole:]
        self.acknowledged += whole // 4


async def measure(port: int, clients: int, window: int, seconds: float) -> dict[str, float]:
    publishers = [Publisher(port, number, window) for number in range(clients)]
    for publisher in publishers:
        publisher.start()
    await asyncio.sleep(WARM_UP_S)
    before = sum(publisher.acknowledged for publisher in publishers)
    for publisher in publishers:
        publisher.latencies.clear()
    started, cpu_before = time.perf_counter(), time.process_time()
    await asyncio.sleep(seconds)
    elapsed_s = time.perf_counter() - started
    cpu_share = (time.process_time() - cpu_before) / elapsed_s
    rate = (sum(publisher.acknowledged for publisher in publishers) - before) / elapsed_s
    result = {"rate": rate, "cpu_share": cpu_share}
    latencies = [latency for publisher in publishers for latency in publisher.latencies]
    if latencies:
        percentiles = statistics.quantiles(latencies, n=100)
        result |= {"p50_ms": percentiles[49] * 1_000, "p99_ms": percentiles[98] * 1_000}
    return result


if __name__ == "__main__":
    port, clients, window = (int(argument) for argument in sys.argv[1:4])
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    print(json.dumps(uvloop.run(measure(port, clients, window, float(sys.argv[4])))))
