"""The short way through a message gives what the long way gives, or nothing."""

import json
import re

import pytest
from hypothesis import assume, given, strategies as st

from gateway.model.observation import Measured
from gateway.profiles import json_payload
from gateway.profiles.json_payload import JsonDecoder, JsonProfile
from gateway.profiles.json_template import PAYLOAD_BYTES_MAX, JsonTemplate
from gateway.profiles.library import ProfileLibrary

LIBRARY = ProfileLibrary(None)
UP = "ss/v1/home/dev/meter/up"
FLAT = b'{"time":1700000000,"power_active_total":1234.5,"energy_import_total":4321.125}'


def make_meaning(profile: str = "json-energy") -> JsonProfile:
    return JsonProfile(LIBRARY.get(profile))


def learn(meaning: JsonProfile, payload: bytes) -> JsonTemplate | None:
    assert isinstance(meaning.decode(payload), Measured)
    return JsonTemplate.learn(payload, meaning.rounders, meaning.look_up)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (FLAT, FLAT),
        (FLAT, b'{"time":1,"power_active_total":-0.5,"energy_import_total":0}'),
        (FLAT, b'{"time":1700000000.25,"power_active_total":0.00005,"energy_import_total":7}'),
        (FLAT, b'{"time":1700000000.0005,"power_active_total":-0,"energy_import_total":0.5}'),
        (b' { "power_active_total" : 7 }\n', b' { "power_active_total" : 123456789012345678 }\n'),
        (b'{"power_active_total":1,"other":{"a":[1,"x 1"]}}', b'{"power_active_total":2,"other":{"a":[2.5,"x 1"]}}'),
        (b'{"power_active_total":1,"\\u0074ime":5}', b'{"power_active_total":2,"\\u0074ime":6}'),
        (b'{"1":1,"power_active_total":1}', b'{"1":2,"power_active_total":3}'),
        (b'{"energy_export_total":null,"power_active_total":1}', b'{"energy_export_total":null,"power_active_total":2}'),
        (
            b'{"power_active_total":1,"time":"2026-01-31T12:00:00Z"}',
            b'{"power_active_total":2,"time":"2026-02-01T13:14:15.678+01:00"}',
        ),
    ],
)  # fmt: skip
def test_a_message_written_alike_is_decoded_as_by_the_long_way(first, second):
    meaning = make_meaning()
    template = learn(meaning, first)
    assert template is not None
    measured = template.decode(second)
    assert isinstance(measured, Measured)
    assert measured == meaning.decode(second)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{}",
        FLAT + b" ",
        FLAT.replace(b":", b": "),
        FLAT.replace(b"time", b"Time"),
        FLAT.replace(b"1234.5", b"01234.5"),
        FLAT.replace(b"1234.5", b"1234."),
        FLAT.replace(b"1234.5", b".5"),
        FLAT.replace(b"1234.5", b"+1"),
        FLAT.replace(b"1234.5", b"1e3"),
        FLAT.replace(b"1234.5", b"1_0"),
        FLAT.replace(b"1234.5", b"NaN"),
        FLAT.replace(b"1234.5", b"null"),
        FLAT.replace(b"1234.5", b'"1"'),
        FLAT.replace(b"1234.5", b"1" * 19),
        FLAT.replace(b"1234.5", "٣".encode()),
        FLAT.replace(b"1700000000", b"0"),
        FLAT.replace(b"1700000000", b"-1"),
        FLAT.replace(b"1700000000", b"999999999999"),
    ],
)
def test_a_message_written_otherwise_is_left_to_the_long_way(payload):
    template = learn(make_meaning(), FLAT)
    assert template is not None
    assert template.decode(payload) is None


@pytest.mark.parametrize(
    "payload",
    [
        b'{"power_active_total":1e3}',
        b'{"power_active_total":1,"other":-2.5E-7}',
        b'{"power_active_total":1,"time":"2026-01-31T12:00:00\\u005a"}',
        b'{"power_active_total":1,"time":"2026-01-31T12:00:00Z","x":"2026-01-31T12:00:00Z"}',
        b'{"power_active_total":1' + b" " * PAYLOAD_BYTES_MAX + b"}",
    ],
)
def test_a_message_that_is_unusual_teaches_nothing(payload):
    assert learn(make_meaning(), payload) is None


def test_a_time_that_is_no_time_is_left_to_the_long_way():
    template = learn(make_meaning(), b'{"power_active_total":1,"time":"2026-01-31T12:00:00Z"}')
    assert template is not None
    for text in (b"2026-01-31T12:00:00", b"YESTERDAY", b"2026-99-31T12:00:00Z"):
        assert template.decode(b'{"power_active_total":1,"time":"%b"}' % text) is None


NUMBERS = st.one_of(
    st.integers(-(10**20), 10**20).map(str),
    st.decimals(allow_nan=False, allow_infinity=False, places=9, min_value=-(10**9)).map(
        lambda one: f"{one:f}"
    ),
    st.floats(allow_nan=False, allow_infinity=False).map(json.dumps),
)
OTHERS = st.sampled_from(
    [
        "null",
        "true",
        '"2026-01-31T12:00:00Z"',
        '"1"',
        "[1, 2.5]",
        '{"time":1}',
        "-0",
        "1e2",
        '"\\""',
    ]
)
KEYS = st.sampled_from(
    [
        "time",
        "power_active_total",
        "energy_import_total",
        "energy_export_total",
        "other",
        'q"1',
        "2",
    ]
)


@given(
    st.lists(st.tuples(KEYS, st.one_of(NUMBERS, OTHERS)), min_size=1, max_size=6),
    st.sampled_from(["", " ", "\n\t"]),
    st.lists(NUMBERS, min_size=12, max_size=12),
)
def test_whatever_the_short_way_answers_is_the_answer_of_the_long_way(pairs, space, numbers):
    members = (f"{space}{json.dumps(key)}{space}:{space}{text}" for key, text in pairs)
    first = "{" + ",".join(members) + space + "}"
    meaning = make_meaning()
    assume(isinstance(meaning.decode(first.encode()), Measured))
    template = JsonTemplate.learn(first.encode(), meaning.rounders, meaning.look_up)
    rest = iter(numbers)
    second = re.sub(r"(?<=:)(\s*)-?[0-9.]+", lambda found: found[1] + next(rest), first).encode()
    for payload in (first.encode(), second):
        measured = None if template is None else template.decode(payload)
        if measured is not None:
            assert measured == meaning.decode(payload)


@given(st.binary(max_size=60), st.integers(0, len(FLAT)), st.integers(0, 40))
def test_no_bytes_make_the_short_way_raise_or_differ(noise, place, replaced):
    meaning = make_meaning()
    template = learn(meaning, FLAT)
    assert template is not None
    payload = FLAT[:place] + noise + FLAT[place + replaced :]
    measured = template.decode(payload)
    if measured is not None:
        assert measured == meaning.decode(payload)


def test_every_sample_of_the_library_reads_the_same_the_second_time():
    learned = 0
    for name in LIBRARY.names():
        profile = LIBRARY.get(name)
        if profile.mqtt is None:
            continue
        for sample in profile.samples:
            assert sample.payload is not None
            meaning = JsonProfile(profile)
            decoder = JsonDecoder(profile, "meter", meaning)
            payload = sample.payload.encode()
            first = decoder.decode(UP, payload)
            assert decoder.decode(UP, payload) == first == meaning.decode(payload)
            learned += bool(meaning.templates)
    assert learned >= 3


def test_a_profile_learns_the_first_messages_and_later_one_now_and_then(monkeypatch):
    monkeypatch.setattr(json_payload, "LEARN_EVERY", 5)
    monkeypatch.setattr(json_payload, "TEMPLATES_MAX", 2)
    meaning = make_meaning()
    decoder = JsonDecoder(LIBRARY.get("json-energy"), "meter", meaning)
    shapes = [b'{"power_active_total":%d' + b" " * width + b"}" for width in range(4)]
    for shape in shapes[:2] * 3:
        assert isinstance(decoder.decode(UP, shape % 1), Measured)
    first = meaning.templates
    assert len(first) == 2

    for number in range(4):
        decoder.decode(UP, shapes[2] % number)
        assert meaning.templates is first
    decoder.decode(UP, shapes[2] % 5)
    assert len(meaning.templates) == 2
    assert meaning.templates[1] is first[0]
    assert isinstance(meaning.templates[0].decode(shapes[2] % 6), Measured)


def test_what_one_device_taught_serves_the_others(monkeypatch):
    meaning = make_meaning()
    profile = LIBRARY.get("json-energy")
    decoders = [JsonDecoder(profile, f"meter{number}", meaning) for number in range(3)]
    expected = decoders[0].decode("ss/v1/home/dev/meter0/up", FLAT)
    monkeypatch.setattr(meaning, "decode", None)  # the long way is closed
    for number, decoder in enumerate(decoders):
        assert decoder.decode(f"ss/v1/home/dev/meter{number}/up", FLAT) == expected


def test_a_nested_message_has_a_short_way_too():
    meaning = make_meaning("shelly-plus-plug-s")
    sample = next(
        one.payload.encode()
        for one in LIBRARY.get("shelly-plus-plug-s").samples
        if one.payload is not None and one.rejected is None
    )
    template = learn(meaning, sample)
    assert template is not None
    assert template.decode(sample) == meaning.decode(sample)
