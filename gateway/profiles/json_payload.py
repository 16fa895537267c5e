"""JSON messages of devices to exact quantities.

Strict where JSON is loose: UTF-8 only, no NaN or Infinity, no key twice, bounded size and nesting.
Numbers never pass through a float. What a message means is decided by `JsonProfile`; one that
is written like one before takes the short way of `json_template.py` to the same result.
"""

import json
from decimal import Decimal
from typing import NoReturn, TypeAlias

from gateway.errors import Rejected, RejectReason
from gateway.model import topics
from gateway.model.observation import Decoded, Measured
from gateway.profiles.json_template import JsonTemplate
from gateway.profiles.profile import DEVICE_PLACEHOLDER, Profile
from gateway.profiles.rounding import Rounder, round_decimal
from gateway.profiles.source_time import bound_time_ms, parse_time_text
from ledger.types.reading import Quantity

PAYLOAD_BYTES_MAX = 64 * 1024
CONTAINERS_MAX = 256  # bounds nesting far below Python's recursion limit
TEMPLATES_MAX = 8  # of one profile: firmware versions, with and without some value
LEARN_EVERY = 256  # messages on the long way: learning takes as long as some hundred of them
_KNOWN_TOPICS_MAX = (
    32  # 16 of the profile, and the device's `up` topic, whatever the gateway's name
)

Json: TypeAlias = "bool | str | int | Decimal | list[Json] | dict[str, Json] | None"


class _JsonError(ValueError):
    """Text that the JSON grammar here does not allow; the text says why."""


def _reject_constant(text: str) -> NoReturn:
    raise _JsonError(f"{text} is not a number")


def _build_object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    data = dict(pairs)
    if len(data) != len(pairs):
        raise _JsonError("a key appears twice")
    return data


_parser = json.JSONDecoder(
    parse_float=Decimal, parse_constant=_reject_constant, object_pairs_hook=_build_object
)


def parse_object(payload: bytes) -> dict[str, Json] | Rejected:
    """Return the JSON object in `payload` with exact numbers, or say what is wrong with it."""
    if len(payload) > PAYLOAD_BYTES_MAX:
        return Rejected(RejectReason.TOO_LARGE, f"payload: larger than {PAYLOAD_BYTES_MAX} bytes")
    if payload.count(b"{") + payload.count(b"[") > CONTAINERS_MAX:
        return _malformed(f"more than {CONTAINERS_MAX} objects and lists")
    try:
        data: Json = _parser.decode(payload.decode())
    except UnicodeDecodeError:
        return _malformed("not UTF-8")
    except (json.JSONDecodeError, _JsonError) as error:
        return _malformed(f"not JSON: {error}")
    except (ValueError, ArithmeticError):  # Python's own bounds on integers and decimals
        return _malformed("a number has too many digits")
    return data if isinstance(data, dict) else _malformed("not a JSON object")


def _malformed(what: str) -> Rejected:
    return Rejected(RejectReason.MALFORMED, f"payload: {what}")


class JsonProfile:
    """What the messages of one profile mean, whichever device sends them.

    What is learned of one device's messages serves the others, which are mostly written alike.
    """

    def __init__(self, profile: Profile) -> None:
        assert profile.mqtt is not None, f"{profile.name} is not an MQTT profile"
        self._fields = tuple(
            (one.json, tuple(one.json.split(".")), Rounder.of(one))
            for one in profile.mqtt.quantities
        )
        self.rounders = tuple(rounder for _, _, rounder in self._fields)
        self.templates: tuple[JsonTemplate, ...] = ()
        self._lessons = 0
        self._misses = 0
        self._time_path = profile.mqtt.time or ""
        self._time_keys = tuple(self._time_path.split("."))

    def decode(self, payload: bytes) -> Measured | Rejected:
        """Return what a message says, and learn from it how such messages are written."""
        data = parse_object(payload)
        if isinstance(data, Rejected):
            return data
        quantities = self._read(data)
        if isinstance(quantities, Rejected):
            return quantities
        time_ms = self._read_time(data)
        if isinstance(time_ms, Rejected):
            return time_ms
        self._learn(payload)
        return Measured(quantities, time_ms)

    def look_up(self, payload: bytes) -> list[Json]:
        """Return the value of each quantity, and of the time if the profile has one."""
        data = parse_object(payload)
        assert not isinstance(data, Rejected), "only digits differ from a message that was decoded"
        values = [_find(data, keys) for _, keys, _ in self._fields]
        return [*values, _find(data, self._time_keys)] if self._time_path else values

    def _learn(self, payload: bytes) -> None:
        """Keep the template of a message: of the first ones, then of one in `LEARN_EVERY`."""
        self._misses += 1
        if self._lessons >= TEMPLATES_MAX and self._misses < LEARN_EVERY:
            return
        self._lessons += 1
        self._misses = 0
        template = JsonTemplate.learn(payload, self.rounders, self.look_up)
        if template is not None:
            self.templates = (template, *self.templates[: TEMPLATES_MAX - 1])

    def _read(self, data: dict[str, Json]) -> tuple[Quantity, ...] | Rejected:
        quantities = []
        is_empty = True
        for path, keys, rounder in self._fields:
            value = _find(data, keys)
            if value is None:
                quantities.append(rounder.quantity(None))
                continue
            if isinstance(value, Decimal):
                quantities.append(rounder.from_decimal(value))
            elif isinstance(value, int) and not isinstance(value, bool):
                quantities.append(rounder.from_decimal(Decimal(value)))
            else:
                return _malformed(f"{path} is not a number")
            is_empty = False
        if is_empty:
            wanted = ", ".join(path for path, _, _ in self._fields)
            return Rejected(RejectReason.NO_QUANTITIES, f"payload: none of {wanted[:120]}")
        return tuple(quantities)

    def _read_time(self, data: dict[str, Json]) -> int | Rejected | None:
        if not self._time_path:
            return None
        value = _find(data, self._time_keys)
        if isinstance(value, str):
            return parse_time_text(value, self._time_path)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            return _malformed(f"{self._time_path} is neither Unix seconds nor ISO 8601 text")
        return bound_time_ms(round_decimal(Decimal(value), 3))


class JsonDecoder:
    """Decodes the messages of one device: knows its topics, and how its last message was written.

    On `known_topics` come readings; `template` is tried first, if there is one.
    """

    def __init__(self, profile: Profile, device: str, meaning: JsonProfile) -> None:
        assert profile.mqtt is not None, f"{profile.name} is not an MQTT profile"
        self._meaning = meaning
        self.template: JsonTemplate | None = None
        self._ignored = {_fill(topic, device) for topic in profile.mqtt.ignored_topics}
        self.known_topics = {_fill(topic, device) for topic in profile.mqtt.topics}
        self._up_filter = topics.device("+", device, "up")

    def decode(self, topic: str, payload: bytes) -> Decoded:
        """Return what a message says; None for a known topic without readings."""
        if topic not in self.known_topics:
            if topic in self._ignored:
                return None
            if not topics.matches(self._up_filter, topic):
                return Rejected(
                    RejectReason.UNKNOWN_TOPIC, f"{topic[:100]!r} is not in the profile"
                )
            if len(self.known_topics) < _KNOWN_TOPICS_MAX:
                self.known_topics.add(topic)
        if self.template is not None:
            measured = self.template.decode(payload)
            if measured is not None:
                return measured
        return self.decode_another(payload)

    def decode_another(self, payload: bytes) -> Measured | Rejected:
        """Decode a message that is not written like the one before."""
        for template in self._meaning.templates:
            measured = template.decode(payload)
            if measured is not None:
                self.template = template
                return measured
        self.template = None
        return self._meaning.decode(payload)


def decode_json(profile: Profile, device: str, topic: str, payload: bytes) -> Decoded:
    """Decode a single message; who decodes many keeps a `JsonDecoder` per device."""
    return JsonDecoder(profile, device, JsonProfile(profile)).decode(topic, payload)


def _fill(topic: str, device: str) -> str:
    return topic.replace(DEVICE_PLACEHOLDER, device)


def _find(data: Json, keys: tuple[str, ...]) -> Json:
    """Return the value under nested keys; None where there is none."""
    for key in keys:
        if not isinstance(data, dict):
            return None
        data = data.get(key)
    return data
