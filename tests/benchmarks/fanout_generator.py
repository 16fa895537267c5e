"""Load for `bench_fanout.py`: one publisher, many subscribers, or many clients that are just there.

Usage: fanout_generator.py PORT deliver SUBSCRIBERS QOS WINDOW SECONDS
       fanout_generator.py PORT hold CLIENTS

`deliver` publishes one message per write and keeps WINDOW of them on their way to all subscribers; it
prints the deliveries per second, the share of a core used here, and the deliveries in all. `hold` connects and subscribes
that many clients, sends one message to each, prints `{}` and stays until its input ends.
"""

import asyncio
import json
import resource
import socket
import sys
import time

import uvloop

WARM_UP_S = 0.5
PAYLOAD = b'{"time":1700000000,"power_active_total":1234.5}'
TOPIC = b"bench/fan/out"


def text(value: bytes) -> bytes:
    return len(value).to_bytes(2, "big") + value


def connect(port: int, client_id: str) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    body = text(b"MQTT") + b"\4\2\0\0" + text(client_id.encode())
    sock.sendall(bytes((0x10, len(body))) + body)
    answer = sock.recv(4)
    assert answer == b"\x20\2\0\0", answer
    return sock


def subscribe(sock: socket.socket, topic: bytes, qos: int) -> None:
    body = b"\0\1" + text(topic) + bytes((qos,))
    sock.sendall(bytes((0x82, len(body))) + body)
    answer = sock.recv(5)
    assert answer == b"\x90\3\0\1" + bytes((qos,)), answer


class Load:
    """The publisher, and how much has arrived."""

    def __init__(self, port: int, subscribers: int, qos: int, window: int) -> None:
        self.qos = qos
        self.subscribers = subscribers
        self.window = window
        length = len(TOPIC) + 2 + (2 if qos else 0) + len(PAYLOAD)
        self.packet_bytes = 2 + length
        self.head = bytes((0x30 | qos << 1, length)) + text(TOPIC)
        self.id_at = len(self.head)
        self.published = 0
        self.delivered = 0
        self.sock = connect(port, "publisher")
        self.receivers = [Receiver(self, port, number) for number in range(subscribers)]

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        self.sock.setblocking(False)
        loop.add_reader(self.sock, lambda: self.sock.recv(65_536))
        for receiver in self.receivers:
            loop.add_reader(receiver.sock, receiver.on_readable)
        self.publish()

    def publish(self) -> None:
        """Publish until the window is full; a message is through when all subscribers have it."""
        while (self.published - self.window) * self.subscribers < self.delivered:
            self.published += 1
            packet_id = (self.published % 65_535 + 1).to_bytes(2, "big") if self.qos else b""
            packet = self.head + packet_id + PAYLOAD
            assert self.sock.send(packet) == len(packet)


class Receiver:
    def __init__(self, load: Load, port: int, number: int) -> None:
        self.load = load
        self.rest = b""
        self.sock = connect(port, f"subscriber-{number}")
        subscribe(self.sock, TOPIC, load.qos)
        self.sock.setblocking(False)

    def on_readable(self) -> None:
        load = self.load
        data = self.rest + self.sock.recv(262_144)
        count = len(data) // load.packet_bytes
        size = load.packet_bytes
        if load.qos:
            at = load.id_at
            ids = [data[n + at : n + at + 2] for n in range(0, count * size, size)]
            self.sock.send(b"".join([b"\x40\2" + packet_id for packet_id in ids]))
        self.rest = data[count * size :]
        load.delivered += count
        load.publish()


async def deliver(load: Load, seconds: float) -> dict[str, float]:
    load.start()
    await asyncio.sleep(WARM_UP_S)
    before, started, cpu_before = load.delivered, time.perf_counter(), time.process_time()
    await asyncio.sleep(seconds)
    elapsed_s = time.perf_counter() - started
    return {
        "rate": (load.delivered - before) / elapsed_s,
        "cpu_share": (time.process_time() - cpu_before) / elapsed_s,
        "delivered": load.delivered,
    }


def hold(port: int, clients: int) -> None:
    publisher = connect(port, "publisher")
    held = []
    for number in range(clients):
        sock = connect(port, f"client-{number}")
        topic = b"hold/%d" % number
        subscribe(sock, topic, 1)
        body = text(topic) + b"\0\1" + PAYLOAD
        publisher.sendall(bytes((0x32, len(body))) + body)
        assert sock.recv(1_024)[-len(PAYLOAD) :] == PAYLOAD
        sock.sendall(b"\x40\2\0\1")
        held.append(sock)
    print("{}", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    port, count = int(sys.argv[1]), int(sys.argv[3])
    if sys.argv[2] == "hold":
        hold(port, count)
    else:
        load = Load(port, count, int(sys.argv[4]), int(sys.argv[5]))
        print(json.dumps(uvloop.run(deliver(load, float(sys.argv[6])))))
