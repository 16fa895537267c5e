"""The agent's socket server: who may speak, how much and how long; the answers come from `handle`.

Every limit here is against a local process gone wrong or hostile. A frame that is not a request
gets one refusal and a closed connection.
"""

import asyncio
import logging
import os
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass

from gateway.smart_agent.messages import (
    HEADER_BYTES,
    Refused,
    RefusedReason,
    Request,
    Response,
    decode_frame_length,
    decode_request,
    encode_frame,
)

CONNECTIONS_MAX = 16  # gateway, ledger, command line, and room; far below the descriptor limit
IDLE_TIMEOUT_S = 60.0  # then the place is free for another; a client reconnects by itself
FRAME_TIMEOUT_S = 5.0  # from a frame's first byte to its last, and for taking the answer

_UCRED = struct.Struct("3i")  # struct ucred of unix(7)

_log = logging.getLogger(__name__)

Handler = Callable[[Request], Response]


@dataclass(frozen=True, slots=True)
class Peer:
    """Who the kernel says is at the other end of a Unix socket."""

    pid: int
    uid: int


def peer_of(connection: socket.socket) -> Peer:
    """Return the peer as of its connect (SO_PEERCRED)."""
    return parse_peer(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))


def parse_peer(ucred: bytes) -> Peer:
    """Return the peer in a `struct ucred`."""
    pid, uid, _gid = _UCRED.unpack(ucred)
    return Peer(pid, uid)


def is_allowed(peer: Peer, own_uid: int) -> bool:
    """Tell whether a peer may speak: our own user, or root."""
    return peer.uid in (own_uid, 0)


async def serve_requests(listener: socket.socket, handle: Handler) -> None:
    """Answer requests until cancelled. `listener` is non-blocking and stays the caller's."""
    await _Server(handle).accept_forever(listener)


class _Server:
    def __init__(self, handle: Handler) -> None:
        self._handle = handle
        # At the cap nobody is accepted: newcomers wait in the kernel's backlog for a place.
        self._places = asyncio.Semaphore(CONNECTIONS_MAX)

    async def accept_forever(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as tasks:
            while True:
                await self._places.acquire()
                connection, _ = await loop.sock_accept(listener)
                tasks.create_task(self._serve(connection))

    async def _serve(self, connection: socket.socket) -> None:
        try:
            peer = peer_of(connection)
            if is_allowed(peer, os.getuid()):
                await self._converse(connection)
            else:
                _log.warning("refused a connection of user %d, process %d", peer.uid, peer.pid)
        except (OSError, asyncio.IncompleteReadError) as error:
            _log.debug("connection ended: %s", type(error).__name__)
        finally:
            connection.close()
            self._places.release()

    async def _converse(self, connection: socket.socket) -> None:
        reader, writer = await asyncio.open_unix_connection(sock=connection)
        try:
            while await self._serve_one(reader, writer):
                pass
            async with asyncio.timeout(FRAME_TIMEOUT_S):
                writer.close()
                await writer.wait_closed()  # the last answer is out
        finally:
            writer.transport.abort()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; return whether the connection goes on."""
        async with asyncio.timeout(IDLE_TIMEOUT_S):
            first = await reader.read(1)
        if not first:
            return False
        async with asyncio.timeout(FRAME_TIMEOUT_S):
            request = await _read_request(first, reader)
            if isinstance(request, Refused):
                _log.warning("refused a frame: %s", request)
                response: Response = request
            else:
                response = self._handle(request)
            writer.write(encode_frame(response))
            await writer.drain()
        return not isinstance(request, Refused)


async def _read_request(first: bytes, reader: asyncio.StreamReader) -> Request | Refused:
    length = decode_frame_length(first + await reader.readexactly(HEADER_BYTES - len(first)))
    if length is None:
        return Refused(RefusedReason.MALFORMED, "the frame is over the size limit")
    return decode_request(await reader.readexactly(length))
