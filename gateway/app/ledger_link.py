"""The gateway's line to the ledger process: typed requests over its own broker."""

import asyncio
import itertools
import secrets
from collections.abc import Mapping
from typing import TypeVar

import msgspec

from gateway.errors import MessagingError
from gateway.model import topics
from gateway.ports import MessageBroker

REPLY_TIMEOUT_S = 3.0  # an answer takes milliseconds; a ledger that is away is asked again soon
T = TypeVar("T")


class LedgerLink:
    """Sends requests to the ledger and waits for their answers."""

    def __init__(
        self, broker: MessageBroker, gateway: str, *, reply_timeout_s: float = REPLY_TIMEOUT_S
    ) -> None:
        self._reply_timeout_s = reply_timeout_s
        self._broker = broker
        self._gateway = gateway
        # The ledger answers a request once: numbers must not repeat when this process starts anew.
        self._run = secrets.token_hex(4)
        self._numbers = itertools.count(1)
        self._waiting: dict[str, asyncio.Future[bytes]] = {}
        self.block_final = asyncio.Event()
        broker.add_listener(topics.response(gateway, "ledger", "+"), self._take_response)
        broker.add_listener(topics.ledger_block(gateway), self._take_block)

    async def call(self, verb: str, body: Mapping[str, object], reply: type[T]) -> T:
        """Return the ledger's answer; raises `MessagingError` with one line."""
        number = f"gateway-{self._run}-{next(self._numbers)}"
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        payload = msgspec.json.encode({"transaction": number, **body})
        try:
            self._broker.publish(topics.request(self._gateway, "ledger", verb), payload)
            async with asyncio.timeout(self._reply_timeout_s):
                answer = await future
        except TimeoutError:
            raise MessagingError(f"the ledger did not answer `{verb}`; is it running?") from None
        finally:
            self._waiting.pop(number, None)
        return _read_answer(verb, answer, reply)

    def _take_response(self, _topic: str, payload: bytes) -> None:
        try:
            number = msgspec.json.decode(payload, type=_Answer).transaction
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return  # not an answer to us; the sender is one of our own processes
        future = self._waiting.get(number)
        if future is not None and not future.done():
            future.set_result(payload)

    def _take_block(self, _topic: str, _payload: bytes) -> None:
        self.block_final.set()


class _Answer(msgspec.Struct):
    transaction: str
    error: str = ""


def _read_answer(verb: str, payload: bytes, reply: type[T]) -> T:
    try:
        error = msgspec.json.decode(payload, type=_Answer).error
        if error:
            raise MessagingError(error)
        return msgspec.json.decode(payload, type=reply)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise MessagingError(f"the ledger's answer to `{verb}` is malformed: {problem}") from None
