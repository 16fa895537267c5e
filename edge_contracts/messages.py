"""What the ledger and a contract worker say to each other over their socket pair.

Each frame is a 4-byte big-endian length and one MessagePack message. The worker runs hostile code,
so the ledger's side treats every frame from it as hostile too.
"""

import socket
from typing import Generic, TypeVar

import msgspec

FRAME_BYTES_MAX = 1024 * 1024  # a bundle of 64 KiB grows when translated; arguments have 64 KiB
_LENGTH_BYTES = 4
ERROR_LENGTH_MAX = 500  # characters of a reason; the chain shortens further

OPERATIONS = ("get", "set", "balance", "pay", "emit", "reading", "muldiv")  # of `host`
TEST_OPERATIONS = ("test",)  # offered to test scripts instead


class _Message(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    pass


class RunCall(_Message, frozen=True):
    """Run `method` of a translated source; an empty method asks for the names of its functions.

    `args` and `context` (what the contract sees as `call`) are canonical contract values.
    """

    source: str
    method: str
    args: bytes
    context: bytes
    operations: tuple[str, ...]
    gas_used: int
    gas_limit: int


class HostReply(_Message, frozen=True):
    """The chain's answer to a `HostRequest`, or why it refused."""

    data: bytes | None = None
    amount: int = 0
    refused: str | None = None


class Ready(_Message, frozen=True):
    """A worker's first words: its limits hold; `is_filtered` when system calls are filtered too."""

    is_filtered: bool


class HostRequest(_Message, frozen=True):
    """A contract asks the chain: `operation` says which of the other fields matter."""

    operation: str
    key: bytes = b""
    data: bytes | None = None
    amount: int = 0


class CallEnded(_Message, frozen=True):
    """How a call ended; `result` is a canonical contract value."""

    status: str
    gas_used: int
    result: bytes = b""
    error: str = ""


ToWorker = RunCall | HostReply
FromWorker = Ready | HostRequest | CallEnded

_Incoming = TypeVar("_Incoming")


class BrokenChannelError(Exception):
    """The other side is gone, silent past the deadline, or speaks nonsense."""


class Channel(Generic[_Incoming]):
    """One end of the socket pair; reads messages of one union of types."""

    def __init__(self, end: socket.socket, incoming: object) -> None:
        self._end = end
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder: msgspec.msgpack.Decoder[_Incoming] = msgspec.msgpack.Decoder(incoming)

    def send(self, message: ToWorker | FromWorker, timeout_s: float | None = None) -> None:
        """Send one message, within `timeout_s` where given."""
        body = self._encoder.encode(message)
        assert len(body) <= FRAME_BYTES_MAX
        try:
            self._limit_wait(timeout_s)
            self._end.sendall(len(body).to_bytes(_LENGTH_BYTES, "big") + body)
        except OSError as error:
            raise BrokenChannelError(f"cannot send: {error}") from None

    def receive(self, timeout_s: float | None = None) -> _Incoming:
        """Return the next message, within `timeout_s` for each part where given."""
        length = int.from_bytes(self._receive_exactly(_LENGTH_BYTES, timeout_s), "big")
        if length > FRAME_BYTES_MAX:
            raise BrokenChannelError(f"a frame of {length} bytes")
        body = self._receive_exactly(length, timeout_s)
        try:
            return self._decoder.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BrokenChannelError(f"a malformed frame: {error}") from None

    def close(self) -> None:
        """Close this end."""
        self._end.close()

    def _receive_exactly(self, count: int, timeout_s: float | None) -> bytes:
        pieces = bytearray()
        while len(pieces) < count:
            try:
                self._limit_wait(timeout_s)
                piece = self._end.recv(count - len(pieces))
            except OSError as error:
                raise BrokenChannelError(f"nothing received: {error}") from None
            if not piece:
                raise BrokenChannelError("closed")
            pieces += piece
        return bytes(pieces)

    def _limit_wait(self, timeout_s: float | None) -> None:
        # A worker's end blocks for good, and changing that is a system call it does not have.
        if timeout_s is not None:
            self._end.settimeout(timeout_s)
