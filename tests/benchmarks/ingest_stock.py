"""Stock amqtt for `bench_ingest.py`, as its documentation starts it; acknowledges without storing.

Prints its port.
"""

import asyncio
import logging
import socket

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


if __name__ == "__main__":
    logging.basicConfig(level=logging.CRITICAL)  # it logs a traceback per message cut off at exit
    uvloop.run(serve())
