"""Our ingest path for `bench_ingest.py`: broker with passwords and access rules, decoding, store.

Usage: ingest_gateway.py DATABASE DEVICES. Prints its port. PUBACK follows the commit.
"""

import sys
from pathlib import Path

import uvloop

from gateway.broker.broker import EmbeddedBroker
from gateway.broker.passwords import CredentialAuthenticator, hash_password
from gateway.broker.settings import BrokerSettings
from gateway.clock import SystemClock
from gateway.connectors.mqtt.connector import MqttConnector
from gateway.model import topics
from gateway.model.device import DeviceConfig
from gateway.model.principal import Principal, PrincipalKind
from gateway.profiles.library import ProfileLibrary
from gateway.readings.store import ReadingsStore
from tests.benchmarks.ingest_generator import GATEWAY, PASSWORD, device_name

NODE_ID = bytes(range(32))


class Credentials:
    def __init__(self, devices: int) -> None:
        self._hashes = dict.fromkeys(map(device_name, range(devices)), hash_password(PASSWORD))

    def password_hash(self, username: str) -> bytes | None:
        return self._hashes.get(username)


def principal(name: str) -> Principal:
    own = topics.device(GATEWAY, name, "#")
    up = topics.device(GATEWAY, name, "up")
    return Principal(name, PrincipalKind.DEVICE, (own,), (own,), (up,))


async def serve(database: Path, devices: int) -> None:
    clock = SystemClock()
    store = ReadingsStore.open(database, clock, NODE_ID)
    profile = ProfileLibrary().get("json-energy")
    configs = [DeviceConfig(device_name(n), profile.name, None, 1000) for n in range(devices)]
    for config in configs:
        store.register_device(config.name, profile.hash)
    connector = MqttConnector([(config, profile) for config in configs], store)
    authenticator = CredentialAuthenticator(Credentials(devices), principal, clock)
    # The rate limits are on, but so wide that they do not set the pace: a real device is slower.
    settings = BrokerSettings(
        GATEWAY, port=0, messages_per_s_per_device=1e6, bytes_per_s_per_device=1e9
    )
    broker = EmbeddedBroker(settings, authenticator, connector, clock)
    await broker.start()
    print(broker.port, flush=True)
    await store.watch()


if __name__ == "__main__":
    uvloop.run(serve(Path(sys.argv[1]), int(sys.argv[2])))
