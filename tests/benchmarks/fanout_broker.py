"""Our broker for `bench_fanout.py`: nobody is asked for a password, limits leave room for the load.

Usage: fanout_broker.py. It prints its port.
"""

import asyncio
from collections.abc import Sequence

import uvloop

from gateway.broker.broker import EmbeddedBroker
from gateway.broker.settings import BrokerSettings
from gateway.clock import SystemClock
from gateway.model.principal import Principal, PrincipalKind
from gateway.ports import DeviceMessages

ANYBODY = Principal("anybody", PrincipalKind.SERVICE, ("#",), ("#",))
CONNECTIONS_MAX = 8_000


class Door:
    """Lets everybody in; there are no readings."""

    async def authenticate(
        self, client_id: str, username: str, password: bytes, address: str
    ) -> Principal | None:
        return ANYBODY

    def accept(self, messages: Sequence[DeviceMessages]) -> None:
        raise AssertionError("no telemetry topics")


async def serve() -> None:
    settings = BrokerSettings(
        "bench",
        port=0,
        connections_max=CONNECTIONS_MAX,
        connections_per_address_max=CONNECTIONS_MAX,
        unauthenticated_max=CONNECTIONS_MAX,
        live_sessions_per_service_max=CONNECTIONS_MAX,
    )
    door = Door()
    broker = EmbeddedBroker(settings, door, door, SystemClock())
    await broker.start()
    print(broker.port, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve())
