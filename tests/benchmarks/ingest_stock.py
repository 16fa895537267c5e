"""Stock amqtt for `bench_ingest.py`, as its documentation starts it; acknowledges without storing.

Usage: ingest_stock.py broker | subscriber PORT. The broker prints its port.
"""

import asyncio
import logging
import socket
import sys

import uvloop
from amqtt.broker import Broker

ANONYMOUS = "amqtt.plugins.authentication.AnonymousAuthPlugin"


async def serve() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    listeners = {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}}
    broker = Broker({"listeners": listeners, "plugins": {ANONYMOUS: {"allow_anonymous": True}}})
    await broker.start()
    print(port, flush=True)
    await asyncio.Event().wait()


def subscribe(port: int) -> None:
    """Take every message at QoS 0 and drop it: the least that a storing subscriber does."""
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.sendall(b"\x10\x0f\0\4MQTT\4\2\0\0\0\3sub" + b"\x82\6\0\1\0\1#\0")
        while sock.recv(1 << 20):
            pass


if __name__ == "__main__":
    logging.basicConfig(level=logging.CRITICAL)  # it logs a traceback per message cut off at exit
    if sys.argv[1] == "subscriber":
        subscribe(int(sys.argv[2]))
    else:
        uvloop.run(serve())
