"""What the types of a profile cannot say: each finding is a path into the file and one line."""

import re
from collections.abc import Iterator, Sequence

import msgspec

from gateway.model import topics
from gateway.profiles.document import Path, Plain
from gateway.profiles.modbus_map import WORDS, is_unreadable
from gateway.profiles.profile import (
    DEVICE_PLACEHOLDER,
    Measure,
    ModbusMap,
    MqttMap,
    Profile,
    Sample,
)
from gateway.profiles.samples import parse_decimal, parse_frame

Finding = tuple[Path, str]

_ADDRESSES = 65_536
_DEVICE_NAME = topics.NAME_PATTERN.pattern.strip("^$")


def check_profile(profile: Profile) -> Iterator[Finding]:
    """Yield every contradiction in a well-typed profile."""
    yield from _check_characters(msgspec.to_builtins(profile), ())
    yield from _check_transport(profile)
    if profile.modbus is not None:
        yield from _check_measures(profile.modbus.quantities, ("modbus", "quantities"))
        yield from _check_modbus(profile.modbus)
    if profile.mqtt is not None:
        yield from _check_measures(profile.mqtt.quantities, ("mqtt", "quantities"))
        yield from _check_mqtt(profile.mqtt)
    names = {one.name for one in profile.measures}
    for index, sample in enumerate(profile.samples):
        yield from _check_sample(profile, sample, names, ("samples", index))


def _check_characters(value: Plain, path: Path) -> Iterator[Finding]:
    """Refuse what a terminal would obey instead of show; only a sample's payload is raw."""
    if isinstance(value, str) and not value.isprintable():
        bad = next(one for one in value if not one.isprintable())
        yield path, f"{path[-1]} holds the character {bad!a}: remove it, and fold long text by >-"
    for key, one in value.items() if isinstance(value, dict) else ():
        yield from _check_characters(key, (*path, key))
        if key != "payload":
            yield from _check_characters(one, (*path, key))
    for index, one in enumerate(value if isinstance(value, list | tuple) else ()):
        yield from _check_characters(one, (*path, index))


def _check_transport(profile: Profile) -> Iterator[Finding]:
    if getattr(profile, profile.transport) is None:
        yield (
            ("transport",),
            f"transport {profile.transport} needs a section `{profile.transport}:`; add it",
        )
    for other in sorted({"modbus", "mqtt", "ble"} - {profile.transport}):
        if getattr(profile, other) is not None:
            yield (
                (other,),
                f"transport is {profile.transport}; remove this section or change `transport`",
            )


def _check_measures(measures: Sequence[Measure], path: Path) -> Iterator[Finding]:
    seen: set[str] = set()
    for index, one in enumerate(measures):
        if one.name in seen:
            yield (*path, index, "name"), f"the quantity `{one.name}` appears twice; rename one"
        seen.add(one.name)
        if one.range is not None and one.range[0] >= one.range[1]:
            yield (*path, index, "range"), "range is empty; write [lowest, highest]"


def _check_modbus(device: ModbusMap) -> Iterator[Finding]:
    path: Path = ("modbus", "quantities")
    for index, one in enumerate(device.quantities):
        here = (*path, index)
        count = WORDS[one.type]
        yield from _check_span(device, one.function, one.address, count, (*here, "address"))
        if one.scale_register is not None:
            place = (*here, "scale_register")
            yield from _check_span(device, one.function, one.scale_register, 1, place)
            if one.type == "float32":
                yield place, "a float32 has no scale register; remove it"
        if one.missing is not None and one.missing >> (16 * count):
            yield (
                (*here, "missing"),
                f"missing does not fit {one.type}; write {4 * count} hex digits",
            )
    for index, marker in enumerate(device.markers):
        here = ("modbus", "markers", index)
        count = WORDS[marker.type]
        yield from _check_span(device, marker.function, marker.address, count, (*here, "address"))
        if marker.value >> (16 * count):
            yield (
                (*here, "value"),
                f"value does not fit {marker.type}; write {4 * count} hex digits",
            )
    for index, one_range in enumerate(device.unreadable):
        if one_range.first > one_range.last:
            yield ("modbus", "unreadable", index), "first lies behind last; swap them"


def _check_span(
    device: ModbusMap, function: str, address: int, count: int, path: Path
) -> Iterator[Finding]:
    if address + count > _ADDRESSES:
        yield (
            path,
            f"{count} registers from {address} go past {_ADDRESSES - 1}; correct the address",
        )
    if is_unreadable(
        device, "input" if function == "input" else "holding", address, address + count
    ):
        yield path, f"register {address} lies in an `unreadable` range; correct one of them"


def _check_mqtt(device: MqttMap) -> Iterator[Finding]:
    seen: set[str] = set()
    for key in ("topics", "ignored_topics"):
        for index, topic in enumerate(getattr(device, key)):
            here: Path = ("mqtt", key, index)
            rest = topic.replace(DEVICE_PLACEHOLDER, "device")
            if "{" in rest or "}" in rest:
                yield here, f"the only placeholder is {DEVICE_PLACEHOLDER}; remove the others"
            if any(sign in rest for sign in ("+", "#", "\0")) or rest.startswith("$"):
                yield here, "a topic has no wildcards; write one line per topic"
            if DEVICE_PLACEHOLDER not in topic:
                yield here, f"two devices would share this topic; put {DEVICE_PLACEHOLDER} into it"
            root = _reserved_root(topic)
            if root is not None:
                yield here, f"the tree {root}/ is not the device's; begin with another word"
            if topic in seen:
                yield here, "this topic appears twice; remove one"
            seen.add(topic)


def _reserved_root(topic: str) -> str | None:
    """Return the reserved tree into which a device's name can turn `topic`, or None.

    A first level that is the name alone needs no care: no device may have a reserved name.
    """
    first = topic.split("/", 1)[0]
    if first == DEVICE_PLACEHOLDER:
        return None
    parts = (re.escape(part) for part in first.split(DEVICE_PLACEHOLDER))
    pattern = re.compile(_DEVICE_NAME.join(parts))
    return next((root for root in topics.RESERVED_NAMES if pattern.fullmatch(root)), None)


def _check_sample(
    profile: Profile, sample: Sample, names: set[str], path: Path
) -> Iterator[Finding]:
    raw = {
        "modbus": bool(sample.registers),
        "mqtt": sample.payload is not None,
        "ble": sample.frame is not None,
    }
    wanted = {"modbus": "registers", "mqtt": "payload", "ble": "frame"}[profile.transport]
    if [kind for kind, is_set in raw.items() if is_set] != [profile.transport]:
        yield (
            path,
            f"a sample of a {profile.transport} profile has `{wanted}:` and no other raw data",
        )
    if sample.frame is not None and parse_frame(sample.frame) is None:
        yield (*path, "frame"), 'frame is not hexadecimal; write bytes such as "40 02 C4 09"'
    if (sample.rejected is None) == (not sample.values):
        yield path, "a sample has either `values:` or `rejected:`"
    for name, value in sample.values.items():
        if names and name not in names:
            yield (
                (*path, "values", name),
                f"no quantity is called {name[:48]!r}; use one of `quantities`",
            )
        if value is not None and parse_decimal(value) is None:
            yield (*path, "values", name), f'{value!r} is not a decimal; write for example "230.1"'
