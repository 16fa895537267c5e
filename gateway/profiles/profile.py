"""What a device profile says: plain, frozen types that the YAML files are checked against.

A profile is data only. The one placeholder is `{device}` in MQTT topics: the device's own name.
"""

import functools
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from ledger.codec import canonical
from ledger.crypto.hashing import sha256
from ledger.params import READING_QUANTITIES_MAX
from ledger.types.reading import QuantityName, Scale, UnitName

Transport = Literal["modbus", "mqtt", "ble"]
Function = Literal["input", "holding"]
RegisterType = Literal["uint16", "int16", "uint32", "int32", "uint64", "int64", "float32"]
WordOrder = Literal["big", "little"]

REGISTERS_PER_REQUEST_MAX = 125  # Modbus application protocol 1.1b3, functions 3 and 4
DEVICE_PLACEHOLDER = "{device}"

ProfileName = Annotated[str, Meta(max_length=48, pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
ShortText = Annotated[str, Meta(min_length=1, max_length=120)]
LongText = Annotated[str, Meta(max_length=1000)]
RegisterAddress = Annotated[int, Meta(ge=0, le=65_535)]
Exponent = Annotated[int, Meta(ge=-18, le=18)]
RawValue = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Range = tuple[
    Annotated[int, Meta(ge=-(10**15), le=10**15)], Annotated[int, Meta(ge=-(10**15), le=10**15)]
]
Topic = Annotated[str, Meta(min_length=1, max_length=128)]
JsonPath = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[^.]+(\.[^.]+)*$")]
Samples = Annotated[tuple["Sample", ...], Meta(min_length=1, max_length=32)]


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Base of every part of a profile: unknown keys are mistakes, defaults need not be written."""


class Measure(Part, frozen=True, kw_only=True):
    """One quantity: `value * 10**scale` in `unit`.

    The device's own number times `10**exponent` is in `unit`: -3 where a device counts Wh and the
    unit is kWh. A value outside `range` (in `unit`, both ends allowed) is no value.
    """

    name: QuantityName
    unit: UnitName
    scale: Scale
    exponent: Exponent = 0
    range: Range | None = None


class RegisterMeasure(Measure, frozen=True, kw_only=True):
    """A quantity in Modbus registers, at a 0-based protocol address.

    `missing` is the raw unsigned value with which the device says that it has none. The signed
    power of ten in register `scale_register` (SunSpec `sunssf`) multiplies the number.
    """

    function: Function
    address: RegisterAddress
    type: RegisterType
    word_order: WordOrder = "big"
    missing: RawValue | None = None
    scale_register: RegisterAddress | None = None


class Marker(Part, frozen=True):
    """Registers that must hold `value`, or the device is not what the profile describes."""

    function: Function
    address: RegisterAddress
    type: Literal["uint16", "uint32"]
    value: RawValue
    meaning: ShortText


class AddressRange(Part, frozen=True):
    """Registers from `first` to `last`, both included."""

    function: Function
    first: RegisterAddress
    last: RegisterAddress


class ModbusMap(Part, frozen=True):
    """A Modbus device: what its registers hold, and how they may be read.

    Two values are read in one request where at most `gap` unused registers lie between them, none
    of them `unreadable`.
    """

    quantities: Annotated[
        tuple[RegisterMeasure, ...], Meta(min_length=1, max_length=READING_QUANTITIES_MAX)
    ]
    markers: tuple[Marker, ...] = ()
    registers_per_request: Annotated[int, Meta(ge=4, le=REGISTERS_PER_REQUEST_MAX)] = (
        REGISTERS_PER_REQUEST_MAX
    )
    gap: Annotated[int, Meta(ge=0, le=REGISTERS_PER_REQUEST_MAX)] = 8
    unreadable: tuple[AddressRange, ...] = ()


class JsonMeasure(Measure, frozen=True, kw_only=True):
    """A quantity in a JSON message; `json` is the keys from the outermost in, joined by dots."""

    json: JsonPath


class MqttMap(Part, frozen=True):
    """A device that publishes JSON: on `topics`, and on its own `up` topic.

    `time` is where the device's clock stands in the message: a number of Unix seconds, or ISO 8601
    text with an offset. Messages on `ignored_topics` are taken and say nothing.
    """

    quantities: Annotated[
        tuple[JsonMeasure, ...], Meta(min_length=1, max_length=READING_QUANTITIES_MAX)
    ]
    topics: Annotated[tuple[Topic, ...], Meta(max_length=16)] = ()
    ignored_topics: Annotated[tuple[Topic, ...], Meta(max_length=16)] = ()
    time: JsonPath | None = None


class BleMap(Part, frozen=True):
    """A Bluetooth Low Energy device that advertises in a published format."""

    format: Literal["bthome-v2"]


class RegisterRun(Part, frozen=True):
    """Consecutive registers of a sample."""

    function: Function
    address: RegisterAddress
    words: Annotated[tuple[RegisterAddress, ...], Meta(min_length=1)]


class Sample(Part, frozen=True):
    """Raw data of a device and what it decodes to.

    `values` are decimal text in each quantity's unit, or null. `rejected` is a part of the line
    with which the data is refused.
    """

    description: ShortText
    registers: tuple[RegisterRun, ...] = ()
    topic: Topic | None = None
    payload: Annotated[str, Meta(max_length=65_536)] | None = None
    frame: Annotated[str, Meta(max_length=510)] | None = None
    values: dict[str, str | int | None] = {}
    source_time_ms: Annotated[int, Meta(ge=0)] | None = None
    rejected: ShortText | None = None


class Profile(Part, frozen=True, dict=True):
    """One device profile; exactly the map of its transport is set. Checked by `load_profile`."""

    name: ProfileName
    vendor: ShortText
    model: ShortText
    transport: Transport
    samples: Samples
    description: LongText = ""
    modbus: ModbusMap | None = None
    mqtt: MqttMap | None = None
    ble: BleMap | None = None

    @functools.cached_property
    def hash(self) -> bytes:
        """SHA-256 of the canonical encoding of what decides readings, and of nothing else.

        That is the transport, each quantity, the markers' registers and values, the topics and
        the place of the time: no names, no words for people, no samples, and not how the
        registers are fetched. A default counts the same whether it is written or not.
        """
        return sha256(canonical.encode([self.transport, msgspec.to_builtins(self._meaning)]))

    @property
    def _meaning(self) -> "ModbusMap | MqttMap | BleMap | None":
        if self.modbus is not None:
            nameless = (msgspec.structs.replace(one, meaning="") for one in self.modbus.markers)
            return ModbusMap(quantities=self.modbus.quantities, markers=tuple(nameless))
        if self.mqtt is not None:
            return msgspec.structs.replace(self.mqtt, ignored_topics=())
        return self.ble

    @property
    def measures(self) -> tuple[Measure, ...]:
        """The quantities in the order of the reading; none for a self-describing format."""
        if self.modbus is not None:
            return self.modbus.quantities
        return self.mqtt.quantities if self.mqtt is not None else ()

    def publish_topics(self, device_name: str) -> tuple[str, ...]:
        """Return the device's own topics outside of the gateway's tree; () for other transports."""
        if self.mqtt is None:
            return ()
        return tuple(
            topic.replace(DEVICE_PLACEHOLDER, device_name)
            for topic in (*self.mqtt.topics, *self.mqtt.ignored_topics)
        )
