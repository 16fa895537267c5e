"""aiomqtt against the running command: both versions."""

import asyncio
import uuid
from collections.abc import Iterator

import aiomqtt
import pytest

from tests.spec.mqtt.targets import Target
from tests.support.mqtt_brokers import broker_process

pytestmark = pytest.mark.integration

WAIT_S = 20


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    with broker_process() as target:
        yield target


@pytest.mark.parametrize("protocol", [aiomqtt.ProtocolVersion.V311, aiomqtt.ProtocolVersion.V5])
@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_messages_arrive_in_order_and_retained_ones_later(target: Target, protocol, qos):
    host, port = target.tcp
    topic = uuid.uuid4().hex
    async with (
        asyncio.timeout(WAIT_S),
        aiomqtt.Client(host, port, protocol=protocol) as reader,
        aiomqtt.Client(host, port, protocol=protocol) as writer,
    ):
        await reader.subscribe(f"{topic}/+", qos=qos)
        for number in range(50):
            await writer.publish(f"{topic}/a", b"%d" % number, qos=qos, retain=number == 49)

        received = []
        async for message in reader.messages:
            received.append(message.payload)
            if len(received) == 50:
                break
        assert received == [b"%d" % number for number in range(50)]

        async with aiomqtt.Client(host, port, protocol=protocol) as late:
            await late.subscribe(f"{topic}/#", qos=qos)
            message = await anext(aiter(late.messages))
            assert (message.payload, message.retain) == (b"49", True)
        await writer.publish(f"{topic}/a", b"", retain=True)
