"""Which devices share a connection."""

from gateway.connectors.modbus.connector import group_by_connection
from gateway.model.device import DeviceConfig, parse_address
from gateway.profiles.library import ProfileLibrary

PROFILE = ProfileLibrary(None).get("eastron-sdm630")


def test_devices_of_one_host_and_port_share_a_connection():
    devices = [
        (DeviceConfig(name, PROFILE.name, parse_address(address), 1000), PROFILE)
        for name, address in (
            ("a", "modbus-tcp://bus?unit=1"),
            ("b", "modbus-tcp://other?unit=1"),
            ("c", "modbus-tcp://BUS:502?unit=2"),
            ("d", "modbus-tcp://bus:503?unit=3"),
        )
    ]

    groups = [[config.name for config, _ in group] for group in group_by_connection(devices)]

    assert groups == [["a", "c"], ["b"], ["d"]]
