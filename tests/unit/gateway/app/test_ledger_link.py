"""Requests over the gateway's own broker: matched to their answers, bounded in time, in one line."""

import asyncio

import msgspec
import pytest

from gateway.app.ledger_link import LedgerLink
from gateway.errors import MessagingError
from gateway.model import topics
from gateway.model.ledger_api import AccountReply, TransactionReply
from tests.support.gateway_lab import GATEWAY, make_broker

ACCOUNT = AccountReply(balance=7, nonce=1, pending_nonce=2)


class Ledger:
    """Takes the requests of a broker and answers what a test says."""

    def __init__(self, broker) -> None:
        self.broker = broker
        self.requests: list[tuple[str, dict[str, object]]] = []
        self.arrived = asyncio.Event()
        broker.add_listener(topics.request(GATEWAY, "ledger", "+"), self._take)

    def _take(self, topic: str, payload: bytes) -> None:
        self.requests.append((topic, msgspec.json.decode(payload)))
        self.arrived.set()

    async def next(self) -> str:
        """Return the transaction of the newest request."""
        await self.arrived.wait()
        self.arrived.clear()
        return str(self.requests[-1][1]["transaction"])

    def answer(self, payload: bytes, verb: str = "account") -> None:
        self.broker.publish(topics.response(GATEWAY, "ledger", verb), payload)


def reply(transaction: str, **fields: object) -> bytes:
    return msgspec.json.encode({"transaction": transaction, **fields})


async def test_an_answer_is_returned_to_who_asked():
    broker = make_broker()
    ledger, link = Ledger(broker), LedgerLink(broker, GATEWAY)
    async with asyncio.TaskGroup() as group:
        asked = group.create_task(link.call("account", {"address": "ab"}, AccountReply))
        number = await ledger.next()
        ledger.answer(reply("somebody else's", balance=0, nonce=0, pending_nonce=0))
        ledger.answer(reply(number, balance=7, nonce=1, pending_nonce=2))

    assert asked.result() == ACCOUNT
    ((topic, body),) = ledger.requests
    assert topic == topics.request(GATEWAY, "ledger", "account")
    assert body == {"transaction": number, "address": "ab"}


async def test_answers_may_come_in_another_order():
    broker = make_broker()
    ledger, link = Ledger(broker), LedgerLink(broker, GATEWAY)
    async with asyncio.TaskGroup() as group:
        first = group.create_task(link.call("account", {}, AccountReply))
        one = await ledger.next()
        second = group.create_task(link.call("account", {}, AccountReply))
        two = await ledger.next()
        ledger.answer(reply(two, balance=2, nonce=0, pending_nonce=0))
        ledger.answer(reply(one, balance=1, nonce=0, pending_nonce=0))

    assert (first.result().balance, second.result().balance) == (1, 2)


async def test_a_gateway_that_started_anew_does_not_repeat_its_numbers():
    """The ledger remembers the requests that it has answered and runs each once."""
    broker = make_broker()
    ledger = Ledger(broker)
    numbers = set()
    for _ in range(20):
        link = LedgerLink(broker, GATEWAY, reply_timeout_s=0.001)
        with pytest.raises(MessagingError):
            await link.call("account", {}, AccountReply)
        numbers.add(await ledger.next())
    assert len(numbers) == 20


async def test_no_answer_is_one_line_and_a_late_one_harms_nobody():
    broker = make_broker()
    ledger, link = Ledger(broker), LedgerLink(broker, GATEWAY, reply_timeout_s=0.01)
    with pytest.raises(MessagingError, match="the ledger did not answer `account`; is it running"):
        await link.call("account", {}, AccountReply)

    ledger.answer(reply(await ledger.next(), balance=7, nonce=1, pending_nonce=2))
    with pytest.raises(MessagingError, match="did not answer"):
        await link.call("account", {}, AccountReply)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"error": "insufficient-funds: nothing there"}, "^insufficient-funds: nothing there$"),
        ({"balance": 7}, "the ledger's answer to `account` is malformed"),
        ({"balance": "7", "nonce": 1, "pending_nonce": 2}, "malformed"),
    ],
)
async def test_an_answer_that_is_none_is_one_line(fields, words):
    broker = make_broker()
    ledger, link = Ledger(broker), LedgerLink(broker, GATEWAY)
    ask = asyncio.create_task(link.call("account", {}, AccountReply))
    ledger.answer(reply(await ledger.next(), **fields))

    with pytest.raises(MessagingError, match=words) as raised:
        await ask
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "noise", [b"", b"[]", b"\xff", b'{"transaction": "\xff"}', b"{}", b'{"a":' * 100_000]
)
async def test_noise_on_the_response_topic_is_passed_over(noise, caplog):
    broker = make_broker()
    ledger, link = Ledger(broker), LedgerLink(broker, GATEWAY)
    ask = asyncio.create_task(link.call("account", {}, AccountReply))
    number = await ledger.next()
    ledger.answer(noise)
    ledger.answer(reply(number, balance=7, nonce=1, pending_nonce=2))

    assert await ask == ACCOUNT
    assert not caplog.records, "the event loop logs what escapes from a listener"


async def test_an_answer_with_text_that_is_no_utf8_is_one_line():
    broker = make_broker()
    ledger, link = Ledger(broker), LedgerLink(broker, GATEWAY)
    ask = asyncio.create_task(link.call("transaction", {}, TransactionReply))
    number = await ledger.next()
    ledger.answer(
        b'{"transaction": "' + number.encode() + b'", "status": "\xff"}', verb="transaction"
    )

    with pytest.raises(MessagingError, match="answer to `transaction` is malformed"):
        await ask


async def test_a_final_block_is_noticed():
    broker = make_broker()
    link = LedgerLink(broker, GATEWAY)
    assert not link.block_final.is_set()

    broker.publish(topics.ledger_block(GATEWAY), b"{}", retain=True)
    async with asyncio.timeout(5):
        await link.block_final.wait()
