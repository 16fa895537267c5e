"""The devices in force: read from `devices.toml`, connected, and read again when the file changes.

A file with a mistake changes nothing: the devices that were in force stay, and the health says why.
"""

import asyncio
import logging
from collections.abc import Sequence

from gateway.app.credentials import device_principal
from gateway.app.publishing import ReadingPublisher
from gateway.app.registry import DeviceEntry, load_devices
from gateway.app.sessions import SessionRecorder
from gateway.clock import Clock
from gateway.connectors.modbus.connector import ModbusConnector
from gateway.connectors.mqtt.connector import MqttConnector
from gateway.errors import GatewayError
from gateway.model.device import DeviceConfig
from gateway.model.principal import Principal
from gateway.ports import DeviceMessages
from gateway.profiles.library import ProfileLibrary
from gateway.profiles.profile import Profile
from gateway.readings.store import ReadingsStore
from gateway.settings import Home

logger = logging.getLogger(__name__)

CHECK_INTERVAL_S = 0.5  # how soon a changed file is noticed


class DeviceSet:
    """Connects devices to the store. It is the broker's `TelemetrySink`."""

    def __init__(
        self,
        home: Home,
        gateway: str,
        store: ReadingsStore,
        publisher: ReadingPublisher,
        clock: Clock,
    ) -> None:
        self._home = home
        self._gateway = gateway
        self._store = store
        self._publisher = publisher
        self._clock = clock
        self._entries: tuple[DeviceEntry, ...] = ()
        self._modbus: list[tuple[DeviceConfig, Profile]] = []
        self._mqtt = MqttConnector((), store)
        self._principals: dict[str, Principal] = {}
        self._stamp: tuple[int, int] | None = None
        self.problem = ""

    def load(self) -> None:
        """Read the file and put its devices in force; raises `GatewayError`, changing nothing."""
        stamp = self._read_stamp()
        entries = load_devices(self._home)
        library = ProfileLibrary(self._home.profiles)
        devices = [(entry.config, library.get(entry.config.profile)) for entry in entries]
        for config, profile in devices:
            config.check_against(profile.transport)
        for config, profile in devices:
            self._store.register_device(config.name, profile.hash)
        self._entries = entries
        self._modbus = [pair for pair in devices if pair[1].transport == "modbus"]
        mqtt = [pair for pair in devices if pair[1].transport == "mqtt"]
        self._mqtt = MqttConnector(mqtt, self._store)
        self._principals = {
            config.name: device_principal(
                self._gateway, config.name, profile.publish_topics(config.name)
            )
            for config, profile in mqtt
        }
        self._stamp = stamp
        self._publisher.forget_others({config.name for config, _ in devices})

    def principal(self, username: str) -> Principal | None:
        """Return the principal of a device that publishes by MQTT, or None."""
        return self._principals.get(username)

    def telemetry(self) -> dict[str, str]:
        """Return the filters of topics with readings, each with its device."""
        return {
            topic_filter: name
            for name, principal in self._principals.items()
            for topic_filter in principal.telemetry_filters
        }

    def accept(self, messages: Sequence[DeviceMessages]) -> None:
        """Take messages from the broker."""
        self._mqtt.accept(messages)

    async def run(self, recorder: SessionRecorder) -> None:
        """Poll the devices and watch the file until cancelled."""
        while True:
            recorder.bind(
                [(entry.config.name, s) for entry in self._entries for s in entry.sessions]
            )
            async with asyncio.TaskGroup() as group:
                polling = group.create_task(self._poll())
                await self._wait_for_change()
                polling.cancel()

    async def _poll(self) -> None:
        connector = ModbusConnector(
            self._modbus,
            self._publisher,
            lambda name, is_up: self._publisher.set_available(name, is_available=is_up),
            self._clock,
        )
        await connector.run()

    async def _wait_for_change(self) -> None:
        """Return once a changed file is in force."""
        while True:
            await asyncio.sleep(CHECK_INTERVAL_S)
            stamp = self._read_stamp()
            if stamp == self._stamp and not self.problem:
                continue  # with a problem it is tried again: what was missing may be elsewhere
            try:
                self.load()
            except GatewayError as error:
                self._stamp = stamp
                if str(error) != self.problem:
                    self.problem = str(error)
                    logger.error("the devices stay as they were: %s", error)  # noqa: TRY400 - one line
            else:
                self.problem = ""
                logger.info("devices in force: %d", len(self._entries))
                return

    def _read_stamp(self) -> tuple[int, int] | None:
        try:
            status = self._home.devices.stat()
        except OSError:
            return None  # reading it says why
        return status.st_mtime_ns, status.st_ino
