"""Who speaks to the broker, and which topics are theirs."""

import enum
from dataclasses import dataclass


class PrincipalKind(enum.Enum):
    """What kind of peer a connection belongs to."""

    DEVICE = "device"
    SERVICE = "service"  # the gateway's own processes
    OPERATOR = "operator"
    USER = "user"  # of a broker that runs alone
    PEER = "peer"  # another ledger node, or one that has yet to prove itself


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated peer. Filters are MQTT topic filters; what no filter allows is refused.

    A publish to a topic under `telemetry_filters` is acknowledged only when its reading is on disk.
    """

    name: str
    kind: PrincipalKind
    publish_filters: tuple[str, ...]
    subscribe_filters: tuple[str, ...]
    telemetry_filters: tuple[str, ...] = ()
