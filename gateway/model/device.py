"""What the operator says about a device: its name, its profile, where it is, how often to ask.

An address is a URL of exactly one form, `modbus-tcp://HOST[:PORT][?unit=N]`; anything else in it
is refused, so that a mistyped option can never be silently ignored.
"""

import ipaddress
import re
from dataclasses import dataclass

from gateway.errors import SettingsError

PORT_DEFAULT = 502  # IANA: mbap, Modbus application protocol
PORT_MAX = 65_535
UNIT_ID_DEFAULT = 1
UNIT_ID_MAX = 247  # Modbus over Serial Line 2.2: 248 to 255 are reserved
ADDRESS_CHARS_MAX = 320  # a host name of RFC 1035's 253 characters, and the rest of the URL
HOST_CHARS_MAX = 253

_FORM = "modbus-tcp://HOST:PORT?unit=N"
_ADDRESS = re.compile(
    r"modbus-tcp://(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?:\?unit=(?P<unit>[0-9]{1,3}))?",
    re.ASCII,
)
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?", re.ASCII)


@dataclass(frozen=True, slots=True)
class ModbusTcpAddress:
    """Where a Modbus TCP device answers: host name or IP address, TCP port, unit id."""

    host: str
    port: int
    unit_id: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"modbus-tcp://{host}:{self.port}?unit={self.unit_id}"


@dataclass(frozen=True, slots=True)
class DeviceConfig:
    """One device of the operator's file. `address` is None where the device publishes itself."""

    name: str
    profile: str
    address: ModbusTcpAddress | None
    interval_ms: int

    def check_against(self, transport: str) -> None:
        """Check that the profile's transport fits the address; raises `SettingsError`."""
        match transport:
            case "modbus":
                if self.address is None:
                    raise SettingsError(
                        f"devices.{self.name}: profile {self.profile} is polled by Modbus: "
                        f'add address = "{_FORM}"'
                    )
            case "mqtt":
                if self.address is not None:
                    raise SettingsError(
                        f"devices.{self.name}: profile {self.profile} publishes by MQTT by "
                        "itself: remove its address"
                    )
            case "ble":
                raise SettingsError(
                    f"devices.{self.name}: BLE devices cannot be connected yet: "
                    "remove the device from the file"
                )
            case _:
                raise SettingsError(
                    f"devices.{self.name}: profile {self.profile} has the unknown transport "
                    f"{transport!r}: choose another profile"
                )


def parse_address(text: str) -> ModbusTcpAddress:
    """Return the address that a URL names; raises `SettingsError` with one line."""
    match = _ADDRESS.fullmatch(text) if len(text) <= ADDRESS_CHARS_MAX else None
    if match is None:
        raise SettingsError(f"address {text[:80]!r} is not of the form {_FORM}")
    port = int(match["port"] or PORT_DEFAULT)
    unit_id = int(match["unit"] or UNIT_ID_DEFAULT)
    if not 1 <= port <= PORT_MAX:
        raise SettingsError(f"address {text!r}: the port must be 1 to {PORT_MAX}, not {port}")
    if unit_id > UNIT_ID_MAX:
        raise SettingsError(f"address {text!r}: the unit must be 0 to {UNIT_ID_MAX}, not {unit_id}")
    host = match["host"].strip("[]").lower()
    if not _is_host(host):
        raise SettingsError(f"address {text!r}: {host!r} is neither a host name nor an IP address")
    return ModbusTcpAddress(host, port, unit_id)


def _is_host(host: str) -> bool:
    """Tell whether `host` is an IP address or a host name (RFC 1123 2.1, `_` tolerated)."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        labels = host.removesuffix(".").split(".")
        is_number = labels[-1].isdecimal()  # 1.2.3 or 300.1.1.1: a mistyped IPv4 address
        is_short = len(host) <= HOST_CHARS_MAX
        return is_short and not is_number and all(map(_LABEL.fullmatch, labels))
    return True
