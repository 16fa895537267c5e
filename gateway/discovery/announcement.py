"""What a gateway says about itself over mDNS (`_smartshare._tcp`), and how others' words are read.

Rule: anybody on the network can announce anything. Text from outside is cut to length and stripped
of control characters, numbers are checked, and nothing found is trusted without the genesis.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ledger.crypto.hashing import sha256

SERVICE_TYPE = "_smartshare._tcp.local."
TXT_VERSION = "1"
INSTANCE_NAME_BYTES_MAX = 60  # a DNS label holds 63: room for `-2` after a name conflict
VALUE_LENGTH_MAX = 64
HEIGHT_MAX = 2**63 - 1

_FINGERPRINT_DIGITS = 16
_PORT_MAX = 65_535
_KEYS = ("txtvers", "id", "net", "role", "ver", "mqtt", "api", "peer", "height")
_NOT_IN_A_NAME = re.compile(r"[.\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Announcement:
    """A gateway's own announcement. `mqtt_port` is also the service's port; a port 0 means none."""

    name: str
    node_id: bytes
    chain_id: bytes
    role: str
    version: str
    mqtt_port: int
    api_port: int = 0
    peer_port: int = 0
    height: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    """A gateway that somebody announced: hints for people, sanitised, none of them proven."""

    name: str
    addresses: tuple[str, ...]
    port: int
    node: str  # 16 hexadecimal digits of a key fingerprint, or "" when it is none
    network: str  # likewise of a chain id
    role: str
    version: str
    mqtt_port: int
    api_port: int
    peer_port: int
    height: int


def node_fingerprint(node_id: bytes) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of a node id."""
    return sha256(node_id).hex()[:_FINGERPRINT_DIGITS]


def network_fingerprint(chain_id: bytes) -> str:
    """Return the first 16 hexadecimal digits of a chain id, which is a hash already."""
    return chain_id.hex()[:_FINGERPRINT_DIGITS]


def format_instance_name(name: str) -> str:
    """Return `name` fit for a DNS label that every browser shows: no dots, at most 60 bytes."""
    label = _NOT_IN_A_NAME.sub("-", name).encode()[:INSTANCE_NAME_BYTES_MAX]
    return label.decode(errors="ignore") or "smartshare"


def format_txt(announcement: Announcement) -> dict[str, str]:
    """Return the TXT pairs of an announcement (RFC 6763 6)."""
    return {
        "txtvers": TXT_VERSION,
        "id": node_fingerprint(announcement.node_id),
        "net": network_fingerprint(announcement.chain_id),
        "role": announcement.role,
        "ver": announcement.version,
        "mqtt": str(announcement.mqtt_port),
        "api": str(announcement.api_port),
        "peer": str(announcement.peer_port),
        "height": str(announcement.height),
    }


def parse_found(
    name: str, addresses: tuple[str, ...], port: int, txt: Mapping[bytes, bytes | None]
) -> Found | None:
    """Return what a stranger's records say, sanitised; None for another version of the TXT pairs."""
    values = {key: _clean(txt.get(key.encode()) or b"") for key in _KEYS}
    if values["txtvers"] != TXT_VERSION:
        return None
    return Found(
        name=_clean(name.encode(errors="replace")),
        addresses=addresses,
        port=port,
        node=_fingerprint(values["id"]),
        network=_fingerprint(values["net"]),
        role=values["role"],
        version=values["ver"],
        mqtt_port=_number(values["mqtt"], _PORT_MAX),
        api_port=_number(values["api"], _PORT_MAX),
        peer_port=_number(values["peer"], _PORT_MAX),
        height=_number(values["height"], HEIGHT_MAX),
    )


def _clean(raw: bytes) -> str:
    text = raw[: 4 * VALUE_LENGTH_MAX].decode(errors="replace")
    return "".join(char for char in text if char.isprintable())[:VALUE_LENGTH_MAX]


def _fingerprint(text: str) -> str:
    is_one = re.fullmatch(r"[0-9a-f]{16}", text) is not None
    return text if is_one else ""


def _number(text: str, maximum: int) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > len(str(maximum)):
        return 0
    return int(text) if int(text) <= maximum else 0
