"""From a stored reading to a signed measurement record: what the meter is, and which value counts."""

from dataclasses import dataclass

from gateway.app.metering_file import MeteringFile
from gateway.app.registry import load_devices
from gateway.errors import SettingsError
from gateway.metering.ocmf import Page
from gateway.metering.pages import decode_page
from gateway.profiles.library import ProfileLibrary
from gateway.settings import Home
from gateway.smart_agent.keys import AgentKeys
from gateway.smart_agent.metering_client import MeteringClient
from ledger.crypto.domains import NO_HASH
from ledger.errors import CodecError
from ledger.types.metering import Mark, Meter, MeteringRecord, MeterState
from ledger.types.reading import Reading

SESSION_CHARS_MAX = 64


@dataclass(frozen=True, slots=True)
class Occasion:
    """Why a record is made: the mark, the quantity that counts, session and tariff in words."""

    mark: Mark
    quantity: str
    session: str = ""
    tariff: str = ""
    foreign: bytes = b""


def session_text(contract: bytes, session: str) -> str:
    """Return how a record names a contract's session."""
    return f"{contract.hex()[:16]}/{session}"[:SESSION_CHARS_MAX]


def describe_meter(home: Home, device: str, reading: Reading) -> Meter:
    """Return the meter behind a device of `devices.toml`; raises `GatewayError`."""
    entry = next((one for one in load_devices(home) if one.config.name == device), None)
    if entry is None:
        raise SettingsError(f"no device {device!r} in {home.devices}")
    profile = ProfileLibrary(home.profiles).get(entry.config.profile)
    return Meter(
        device_id=reading.device_id,
        profile_hash=reading.profile_hash,
        vendor=profile.vendor[:50],
        model=profile.model[:50],
        serial="",
    )


def build_record(
    keys: AgentKeys, meter: Meter, reading: Reading, occasion: Occasion
) -> MeteringRecord:
    """Return the record of a reading; its page is given when it is signed. Raises `SettingsError`."""
    assert keys.chain_id is not None
    found = next((one for one in reading.quantities if one.name == occasion.quantity), None)
    if found is None:
        known = ", ".join(one.name for one in reading.quantities)
        raise SettingsError(
            f"reading {reading.sequence} has no {occasion.quantity}: it has {known}"
        )
    return MeteringRecord(
        chain_id=keys.chain_id,
        signer=keys.metering,
        meter=meter,
        page=1,
        previous=NO_HASH,
        sequence=reading.sequence,
        time_ms=reading.gateway_time_ms,
        clock=reading.clock,
        mark=occasion.mark,
        state=MeterState.OK if found.value is not None else MeterState.READ_ERROR,
        quantity=found.name,
        value=found.value,
        scale=found.scale,
        unit=found.unit,
        session=occasion.session,
        tariff=occasion.tariff,
        foreign=occasion.foreign,
    )


class MeteringBook:
    """Makes a device's records with the agent. Blocking: the gateway calls it in a thread."""

    def __init__(self, home: Home, agent: MeteringClient, keys: AgentKeys) -> None:
        self._home = home
        self._agent = agent
        self._keys = keys

    def record(self, device: str, reading: Reading, occasion: Occasion) -> Page:
        """Sign and keep the record of a reading; raises `GatewayError`."""
        meter = describe_meter(self._home, device, reading)
        record = build_record(self._keys, meter, reading, occasion)
        page, _ = decode_page(MeteringFile(self._home, device).append(record, self._agent))
        return page

    def newest_of(self, device: str, session: str) -> MeteringRecord | None:
        """Return the newest record of a session, if there is one; raises `SettingsError`."""
        file = MeteringFile(self._home, device)
        try:
            for raw in reversed(file.pages()):
                record = decode_page(raw)[0].record
                if record.session == session:
                    return record
        except CodecError as error:
            raise SettingsError(f"{file.path}: damaged: {error}: restore it") from None
        return None
