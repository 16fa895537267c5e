"""The gateway's broker, decoder and readings store as a process without chain and SmartAgent, to be killed.

    telemetry_broker.py FOLDER PORT DEVICE...

Prints its port when it serves. Whoever names a device is let in as it, anybody else as a service.
"""

import asyncio
import signal
import sys
from pathlib import Path

from gateway.app.credentials import device_principal
from gateway.broker.broker import EmbeddedBroker
from gateway.broker.durable.journal import SqliteJournal
from gateway.broker.settings import BrokerSettings
from gateway.clock import SystemClock
from gateway.connectors.mqtt.connector import MqttConnector
from gateway.model.device import DeviceConfig
from gateway.model.principal import Principal, PrincipalKind
from gateway.profiles.library import ProfileLibrary
from gateway.readings.store import ReadingsStore
from tests.support.readings import NODE_ID

GATEWAY, PROFILE = "gw1", "json-energy"


class Door:
    def __init__(self, devices: list[str]) -> None:
        self._devices = devices

    async def authenticate(
        self, client_id: str, username: str, password: bytes, address: str
    ) -> Principal | None:
        if client_id in self._devices:
            topic = f"ss/v1/{GATEWAY}/dev/{client_id}/up"
            return device_principal(GATEWAY, client_id, (topic,))
        return Principal("reader", PrincipalKind.SERVICE, ("#",), ("#",))


async def main(folder: Path, port: int, devices: list[str]) -> None:
    clock, profile = SystemClock(), ProfileLibrary(None).get(PROFILE)
    store = ReadingsStore.open(folder / "readings.db", clock, NODE_ID)
    for device in devices:
        store.register_device(device, profile.hash)
    configs = [(DeviceConfig(device, PROFILE, None, 1000), profile) for device in devices]
    connector = MqttConnector(configs, store)
    journal = SqliteJournal(folder / "sessions.db")
    broker = EmbeddedBroker(
        BrokerSettings(GATEWAY, port=port),
        Door(devices),
        connector,
        clock,
        journal=journal,
        exchange_store=store.exchanges,
    )
    await broker.start()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    print(broker.port, flush=True)
    await stop.wait()
    await broker.stop()
    journal.close()
    store.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))
