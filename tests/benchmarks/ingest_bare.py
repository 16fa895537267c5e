"""What a network loop in Python costs by itself, for `bench_ingest.py`: PUBACK, and nothing else.

No sessions, no checks, no store, only packets shorter than 128 bytes. Prints its port.
"""

import asyncio
from typing import cast

import uvloop


class Bare(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(
            "asyncio.Transport", transport
        )  # uvloop's is one in all but its bases
        self.rest = b""

    def data_received(self, data: bytes) -> None:
        data, position, answers = self.rest + data, 0, []
        while position + 1 < len(data) and position + 2 + data[position + 1] <= len(data):
            start, end = position + 2, position + 2 + data[position + 1]
            if data[position] & 0xF0 == 0x30:
                packet_id = start + 2 + int.from_bytes(data[start : start + 2], "big")
                answers.append(b"\x40\2" + data[packet_id : packet_id + 2])
            elif data[position] == 0x10:
                answers.append(b"\x20\2\0\0")
            position = end
        self.rest = data[position:]
        self.transport.write(b"".join(answers))


async def serve() -> None:
    server = await asyncio.get_running_loop().create_server(Bare, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve())
