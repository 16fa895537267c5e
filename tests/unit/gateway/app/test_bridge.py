"""What an operator may ask of the gateway, and what becomes of anything else."""

import asyncio

import msgspec
import pytest

from gateway.app.bridge import BridgeRequests
from gateway.health import Health
from gateway.model import topics
from tests.support.gateway_lab import GATEWAY, make_broker

HEALTH = Health("gw1", "1.0", "ab" * 32, problems=("the disk is full",))


async def ask(verb: str, payload: bytes) -> list[tuple[str, dict[str, object]]]:
    """Return what is answered by the time that the broker has nothing more to do."""
    broker = make_broker()
    answers: list[tuple[str, dict[str, object]]] = []
    broker.add_listener(
        topics.response(GATEWAY, "bridge", "+"),
        lambda topic, answer: answers.append((topic, msgspec.json.decode(answer))),
    )
    BridgeRequests(broker, GATEWAY, {"health": lambda: HEALTH})
    broker.publish(topics.request(GATEWAY, "bridge", verb), payload)
    for _ in range(5):
        await asyncio.sleep(0)
    return answers


async def test_the_health_is_told_with_the_transaction_of_the_request():
    ((topic, body),) = await ask("health", b'{"transaction": "t1", "more": [1]}')

    assert topic == topics.response(GATEWAY, "bridge", "health")
    assert body.pop("transaction") == "t1"
    assert msgspec.convert(body, Health) == HEALTH


async def test_an_unknown_request_is_told_what_there_is():
    ((_, body),) = await ask("reboot", b'{"transaction": "t1"}')

    assert body == {"transaction": "t1", "error": "no such request: reboot; there is health"}


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff",
        b'{"transaction": "\xff"}',
        b'{"transaction": 5}',
        b'{"a":' * 100_000,
    ],
)
async def test_what_names_no_transaction_is_not_answered(payload, caplog):
    assert await ask("health", payload) == []
    assert not caplog.records, "the event loop logs what escapes from a listener"
