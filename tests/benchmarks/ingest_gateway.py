"""Our ingest path for `bench_ingest.py`: broker with passwords and access rules, decoding, store.

Usage: ingest_gateway.py DATABASE DEVICES. Prints its port. PUBACK follows the commit.
"""

import functools
import sys
from pathlib import Path

import msgspec
import uvloop

from gateway.broker.broker import EmbeddedBroker
from gateway.broker.passwords import CredentialAuthenticator, hash_password
from gateway.broker.settings import BrokerSettings
from gateway.clock import SystemClock
from gateway.errors import Rejected, RejectReason
from gateway.model import topics
from gateway.model.observation import DeviceMessage, Observation, StoredReading
from gateway.model.principal import Principal, PrincipalKind
from gateway.ports import MessageDone
from gateway.readings.store import ReadingsStore
from ledger.types.reading import Quantity
from tests.benchmarks.ingest_generator import GATEWAY, PASSWORD, device_name

PROFILE_HASH = bytes(32)
NODE_ID = bytes(range(32))


class MeterMessage(msgspec.Struct):
    """What the generator's devices send."""

    ts: int
    power_w: float
    energy_kwh: float
    voltage_v: float


class DecodingSink:
    """Decodes into quantities and stores."""

    def __init__(self, store: ReadingsStore) -> None:
        self._store = store
        self._decode = msgspec.json.Decoder(MeterMessage).decode

    def accept(self, message: DeviceMessage, done: MessageDone) -> None:
        try:
            meter = self._decode(message.payload)
        except msgspec.DecodeError as error:
            done(Rejected(RejectReason.MALFORMED, str(error)))
            return
        quantities = (
            Quantity("power", round(meter.power_w * 10), -1, "W"),
            Quantity("energy", round(meter.energy_kwh * 1_000), -3, "kWh"),
            Quantity("voltage", round(meter.voltage_v * 100), -2, "V"),
        )
        observation = Observation(message.device, quantities, meter.ts)
        self._store.submit(observation, functools.partial(report, done))


def report(done: MessageDone, stored: StoredReading | Rejected) -> None:
    done(stored if isinstance(stored, Rejected) else None)


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
    for number in range(devices):
        store.register_device(device_name(number), PROFILE_HASH)
    authenticator = CredentialAuthenticator(Credentials(devices), principal, clock)
    settings = BrokerSettings(GATEWAY, port=0)
    broker = EmbeddedBroker(settings, authenticator, DecodingSink(store), clock)
    await broker.start()
    print(broker.port, flush=True)
    await store.watch()


if __name__ == "__main__":
    uvloop.run(serve(Path(sys.argv[1]), int(sys.argv[2])))
