"""All Modbus devices of a gateway: one poller per connection, none of which waits for another."""

import asyncio
from collections.abc import Sequence

from gateway.clock import Clock
from gateway.connectors.modbus.poller import Availability, ConnectionPoller, RefusalLog
from gateway.model.device import DeviceConfig
from gateway.ports import ObservationSink
from gateway.profiles.profile import Profile

Device = tuple[DeviceConfig, Profile]


class ModbusConnector:
    """Polls `devices` and submits what they measure; `availability(name, is_up)` tells changes."""

    def __init__(
        self,
        devices: Sequence[Device],
        sink: ObservationSink,
        availability: Availability,
        clock: Clock,
    ) -> None:
        self._devices = devices
        self._sink = sink
        self._availability = availability
        self._clock = clock

    async def run(self) -> None:
        """Poll until cancelled; without devices, wait."""
        refusals = RefusalLog(self._clock)
        async with asyncio.TaskGroup() as group:
            for devices in group_by_connection(self._devices):
                poller = ConnectionPoller(
                    devices, self._sink, self._availability, self._clock, refusals
                )
                group.create_task(poller.run())
            await asyncio.get_running_loop().create_future()


def group_by_connection(devices: Sequence[Device]) -> list[list[Device]]:
    """Return the devices in groups that share host and port, in the order given."""
    groups: dict[tuple[str, int], list[Device]] = {}
    for config, profile in devices:
        assert config.address is not None, "check_against() refuses Modbus without an address"
        key = (config.address.host, config.address.port)
        groups.setdefault(key, []).append((config, profile))
    return list(groups.values())
