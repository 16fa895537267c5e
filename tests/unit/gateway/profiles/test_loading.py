"""Malformed profiles: each mistake is one line that names file and line and the way out."""

import pytest
from hypothesis import given, strategies as st

from gateway.errors import ProfileError
from gateway.profiles.library import ProfileLibrary
from gateway.profiles.loading import load_profile, parse_profile

MODBUS = """\
name: my-meter
vendor: Me
model: One
transport: modbus
modbus:
  unreadable: [{function: input, first: 90, last: 99}]
  markers: [{function: holding, address: 10, type: uint16, value: 7, meaning: type}]
  quantities:
    - {name: power, unit: W, scale: -1, range: [0, 10], function: input, address: 0, type: float32}
    - {name: energy, unit: kWh, scale: 0, function: input, address: 4, type: uint16, missing: 0}
samples:
  - description: zero
    registers: [{function: input, address: 0, words: [0, 0]}]
    values: {power: 0, energy: null}
"""
MQTT = """\
name: my-plug
vendor: Me
model: Two
transport: mqtt
mqtt:
  topics: ["{device}/state"]
  quantities:
    - {name: power, unit: W, scale: 0, json: p}
samples:
  - description: one
    payload: '{"p": 1}'
    values: {power: 1}
"""


def test_the_starting_points_are_valid():
    assert parse_profile(MODBUS.encode(), "p.yaml").transport == "modbus"
    assert parse_profile(MQTT.encode(), "p.yaml").publish_topics("lamp") == ("lamp/state",)


@pytest.mark.parametrize(
    ("base", "old", "new", "line"),
    [
        (MODBUS, "vendor: Me\n", "", "p.yaml:1: `vendor:` is missing; add it"),
        (
            MODBUS,
            "vendor: Me",
            "vender: Me",
            "p.yaml:2: unknown key 'vender'; did you mean `vendor`?",
        ),
        (
            MODBUS,
            "vendor: Me",
            "vendor: 5",
            "p.yaml:2: vendor: expected `str`, got `int`; it is '5'",
        ),
        (MODBUS, "my-meter", "My Meter", "p.yaml:1: name: expected `str` matching regex"),
        (
            MODBUS,
            "transport: modbus",
            "transport: zigbee",
            "p.yaml:4: transport: invalid enum value",
        ),
        (
            MODBUS,
            "transport: modbus",
            "transport: mqtt",
            "p.yaml:4: transport mqtt needs a section",
        ),
        (
            MODBUS,
            "samples:",
            "ble: {format: bthome-v2}\nsamples:",
            "p.yaml:11: transport is modbus;",
        ),
        (MODBUS, "name: power,", "name: Power,", "p.yaml:9: name: expected `str` matching regex"),
        (MODBUS, "name: energy,", "name: power,", "p.yaml:10: the quantity `power` appears twice"),
        (MODBUS, "scale: -1", "scale: -19", "p.yaml:9: scale: expected `int` >= -18; it is '-19'"),
        (MODBUS, "scale: -1", "scale: fine", "p.yaml:9: scale: expected `int`, got `str`"),
        (MODBUS, "[0, 10]", "[10, 0]", "p.yaml:9: range is empty; write [lowest, highest]"),
        (MODBUS, "[0, 10]", "[0]", "p.yaml:9: range: expected `array` of length 2"),
        (MODBUS, "type: float32", "type: double", "p.yaml:9: type: invalid enum value 'double'"),
        (
            MODBUS,
            "function: input, address: 0, t",
            "function: coil, address: 0, t",
            "p.yaml:9: function",
        ),
        (
            MODBUS,
            "address: 0, type",
            "address: 65535, type",
            "p.yaml:9: 2 registers from 65535 go past",
        ),
        (
            MODBUS,
            "address: 0, type",
            "address: 70000, type",
            "p.yaml:9: address: expected `int` <=",
        ),
        (
            MODBUS,
            "address: 0, type",
            "address: 89, type",
            "p.yaml:9: register 89 lies in an `unreadable`",
        ),
        (MODBUS, "missing: 0", "missing: 0x10000", "p.yaml:10: missing does not fit uint16"),
        (MODBUS, "value: 7", "value: 65536", "p.yaml:7: value does not fit uint16"),
        (MODBUS, "first: 90", "first: 100", "p.yaml:6: first lies behind last; swap them"),
        (
            MODBUS,
            "type: float32",
            "type: float32, scale_register: 3",
            "p.yaml:9: a float32 has no scale register",
        ),
        (MODBUS, "power: 0,", "powr: 0,", "p.yaml:14: no quantity is called 'powr'"),
        (MODBUS, "power: 0,", "power: some,", "p.yaml:14: 'some' is not a decimal"),
        (MODBUS, "power: 0,", "power: [],", "p.yaml:14: values: expected"),
        (MODBUS, "    values: {power: 0, energy: null}\n", "", "p.yaml:12: a sample has either"),
        (MODBUS, "words: [0, 0]", "words: [0, 65536]", "p.yaml:13: 1: expected `int` <= 65535"),
        (
            MODBUS,
            "registers:",
            "payload: x\n    registers:",
            "p.yaml:12: a sample of a modbus profile",
        ),
        (
            MODBUS,
            MODBUS[MODBUS.index("samples:") :],
            "samples: []\n",
            "p.yaml:11: samples: expected",
        ),
        (MQTT, "{device}/state", "state", "p.yaml:6: two devices would share this topic"),
        (MQTT, "{device}/state", "{device}/#", "p.yaml:6: a topic has no wildcards"),
        (MQTT, "{device}/state", "{device}/{room}", "p.yaml:6: the only placeholder is {device}"),
        (
            MQTT,
            "{device}/state",
            "ss/v1/g/dev/{device}/up",
            "p.yaml:6: the tree ss/ is not the device's",
        ),
        (MQTT, "{device}/state", "s{device}/v1/home/dev/m/up", "p.yaml:6: the tree ss/ is not"),
        (MQTT, "{device}/state", "{device}s/state", "p.yaml:6: the tree ss/ is not"),
        (MQTT, "{device}/state", "{device}{device}/state", "p.yaml:6: the tree ss/ is not"),
        (MQTT, "{device}/state", "home{device}/x", "p.yaml:6: the tree homeassistant/ is not"),
        (MQTT, "{device}/state", "homeassistant/{device}/x", "p.yaml:6: the tree homeassistant/"),
        (MQTT, "{device}/state", "$SYS/{device}", "p.yaml:6: a topic has no wildcards"),
        (MQTT, "name: my", '"a\\nb": 1\nname: my', "p.yaml:1: unknown key 'a\\nb'; remove it"),
        (MQTT, "unit: W", '"u\\nx": W', "p.yaml:8: unknown key 'u\\nx'; remove it"),
        (MQTT, "vendor: Me", 'vendor: "a\\nb"', "p.yaml:2: vendor holds the character '\\n'"),
        (MQTT, "vendor: Me", 'vendor: "a\\0b"', "p.yaml:2: vendor holds the character '\\x00'"),
        (MQTT, "model: Two", 'model: "\\e[31m"', "p.yaml:3: model holds the character '\\x1b'"),
        (MQTT, "model: Two", 'model: "\\u202e"', "p.yaml:3: model holds the character '\\u202e'"),
        (
            MQTT,
            "model: Two",
            "model: Two\ndescription: |\n  a\n  b",
            "p.yaml:4: description holds the character '\\n'",
        ),
        (MQTT, "unit: W", 'unit: "W\\x9b"', "p.yaml:8: unit holds the character '\\x9b'"),
        (MQTT, "{device}/state", "{device}/\\nx", "p.yaml:6: 0 holds the character '\\n'"),
        (MQTT, "json: p}", 'json: "p\\u2028"}', "p.yaml:8: json holds the character '\\u2028'"),
        (MQTT, "on: one", 'on: "o\\a"', "p.yaml:10: description holds the character '\\x07'"),
        (MODBUS, "meaning: type", 'meaning: "\\r"', "p.yaml:7: meaning holds the character"),
        (
            MQTT,
            '"{device}/state"',
            '"{device}/a", "{device}/a"',
            "p.yaml:6: this topic appears twice",
        ),
        (MQTT, "json: p}", "json: a..b}", "p.yaml:8: json: expected `str` matching regex"),
        (MQTT, MQTT, "[]", "p.yaml:1: the file: expected `object`, got `array`"),
    ],
)
def test_malformed(base, old, new, line):
    text = base.replace(old, new, 1)
    assert text != base
    with pytest.raises(ProfileError) as caught:
        parse_profile(text.encode(), "p.yaml")
    assert str(caught.value).startswith(line), str(caught.value)
    assert str(caught.value).isprintable()


def test_the_name_is_the_files_name(tmp_path):
    path = tmp_path / "other.yaml"
    path.write_text(MQTT)
    with pytest.raises(ProfileError, match=r"other.yaml:1: name is my-plug; write `name: other`"):
        load_profile(path)


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(ProfileError, match=r"none.yaml: cannot be read: No such file"):
        load_profile(tmp_path / "none.yaml")


def test_the_hash_is_over_what_decides_readings():
    profile = parse_profile(MQTT.encode(), "p.yaml")
    assert len(profile.hash) == 32
    assert parse_profile(MODBUS.encode(), "p.yaml").hash != profile.hash


@pytest.mark.parametrize(
    ("base", "old", "new"),
    [
        (MQTT, "description: one", "description: 1st"),
        (MQTT, "vendor: Me", "vendor: You"),
        (MQTT, "model: Two", "model: Three\ndescription: x"),
        (MQTT, "my-plug", "her-plug"),
        (MQTT, "  quantities:", '  ignored_topics: ["{device}/online"]\n  quantities:'),
        (MQTT, "json: p", "json: p, exponent: 0"),
        (MODBUS, "meaning: type", "meaning: the kind"),
        (MODBUS, "modbus:\n", "modbus:\n  gap: 3\n  registers_per_request: 20\n"),
        (MODBUS, "last: 99", "last: 98"),
    ],
)
def test_what_decides_no_reading_leaves_the_hash(base, old, new):
    assert old in base
    assert parse_profile(base.replace(old, new, 1).encode(), "p").hash == _hash(base)


@pytest.mark.parametrize(
    ("base", "old", "new"),
    [
        (MQTT, "scale: 0", "scale: -1"),
        (MQTT, "unit: W", "unit: kW"),
        (MQTT, "json: p", "json: q"),
        (MQTT, "json: p", "json: p, exponent: 3"),
        (MQTT, "json: p", "json: p, range: [0, 9]"),
        (MQTT, "{device}/state", "{device}/status"),
        (MQTT, "  quantities:", "  time: t\n  quantities:"),
        (MODBUS, "value: 7", "value: 8"),
        (MODBUS, "address: 10", "address: 11"),
        (MODBUS, "missing: 0", "missing: 1"),
        (MODBUS, "type: float32", "type: float32, word_order: little"),
    ],
)
def test_what_decides_readings_changes_the_hash(base, old, new):
    assert old in base
    assert parse_profile(base.replace(old, new, 1).encode(), "p").hash != _hash(base)


def _hash(text):
    return parse_profile(text.encode(), "p").hash


def test_a_payload_of_a_sample_may_have_several_lines():
    text = MQTT.replace("payload: '{\"p\": 1}'", 'payload: "{\\n\\t\\"p\\": 1}"')
    assert "\n" in (parse_profile(text.encode(), "p").samples[0].payload or "")


def test_own_profiles_join_the_shipped_ones(tmp_path):
    (tmp_path / "my-plug.yaml").write_text(MQTT)
    library = ProfileLibrary(tmp_path)
    assert library.get("my-plug").vendor == "Me"
    assert "eastron-sdm630" in library.names()


def test_a_profile_is_read_once(tmp_path):
    (tmp_path / "my-plug.yaml").write_text(MQTT)
    library = ProfileLibrary(tmp_path)
    profile = library.get("my-plug")
    (tmp_path / "my-plug.yaml").unlink()
    assert library.get("my-plug") is profile


def test_an_own_profile_does_not_hide_a_shipped_one(tmp_path):
    (tmp_path / "json-energy.yaml").write_text(MQTT)
    library = ProfileLibrary(tmp_path)
    with pytest.raises(ProfileError, match="json-energy ships with the gateway; rename your file"):
        library.get("json-energy")
    assert library.get("eastron-sdm630").vendor == "Eastron"


def test_an_unknown_name_tells_the_near_ones():
    with pytest.raises(
        ProfileError, match="no profile is called 'eastron-sdm63'; there is eastron-"
    ):
        ProfileLibrary(None).get("eastron-sdm63")


@given(st.sampled_from([MODBUS, MQTT]), st.data())
def test_no_text_raises_anything_else(base, data):
    start = data.draw(st.integers(0, len(base)))
    end = data.draw(st.integers(start, min(len(base), start + 12)))
    middle = data.draw(
        st.binary(max_size=6) | st.sampled_from([b"[", b"{", b"&a", b'"\\x', b"- ", b"? "])
    )
    raw = base[:start].encode() + middle + base[end:].encode()
    line = "p.yaml: fine"
    try:
        parse_profile(raw, "p.yaml")
    except ProfileError as error:
        line = str(error)
    assert line.startswith("p.yaml:")
    assert line.isprintable()
