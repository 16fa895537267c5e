"""`devices.toml`: read with one-line refusals, edited without losing what a person wrote in it."""

import pytest
from hypothesis import given, settings as hypothesis_settings, strategies as st

from gateway.app.registry import (
    SessionBinding,
    add_device,
    bind_session,
    load_devices,
    remove_device,
)
from gateway.errors import SettingsError
from gateway.settings import Home
from ledger.codec.text import format_address

CONTRACT = bytes(range(32))
ADDRESS = format_address(CONTRACT)
METER = "modbus-tcp://h:502?unit=1"

FILE = f"""\
# My meters.

# The main meter, in the cellar
[devices.meter]
profile = "eastron-sdm630"   # three phases
address = "modbus-tcp://h:502?unit=1"
# interval_ms = 500

# The plug of the fridge
[devices.meter-2]
profile = "json-energy"

[[devices.meter-2.sessions]]
contract = "{ADDRESS}"
session = "a"

# Quoted, as TOML allows
[ devices . "plug" ]
profile = "json-energy"

# The end.
"""


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path)
    home.devices.write_text(FILE)
    return home


def names(home: Home) -> list[str]:
    return [entry.config.name for entry in load_devices(home)]


def sessions(home: Home, name: str) -> list[str]:
    (entry,) = [entry for entry in load_devices(home) if entry.config.name == name]
    return [one.session for one in entry.sessions]


def comments(home: Home) -> list[str]:
    return [line for line in home.devices.read_text().splitlines() if line.startswith("# ")]


def test_devices_are_read_in_the_order_of_the_file(home):
    meter, second, plug = load_devices(home)

    assert [one.config.name for one in (meter, second, plug)] == ["meter", "meter-2", "plug"]
    assert str(meter.config.address) == METER
    assert (plug.config.address, plug.config.interval_ms) == (None, 1000)
    assert second.sessions == (SessionBinding(CONTRACT, "a", 60_000),)


def test_no_file_is_no_devices(tmp_path):
    assert load_devices(Home(tmp_path)) == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[devices.Big]\nprofile = "x"', "devices.Big: not a device name"),
        ('[devices.ss]\nprofile = "x"', "devices.ss: not a device name"),
        ("devices = 5", "devices: Expected `object`"),
        ("devices = {a = 5}", "devices.a: Expected `object`"),
        ('[devices.a]\nprofile = "x"\ninterval_ms = 49', "devices.a: interval_ms: "),
        ('[devices.a]\nprofile = "x"\naddress = "http://h"', "devices.a: address "),
        ('[devices.a]\nprofile = "x"\n[[devices.a.sessions]]\nsession = "s"', "contract"),
        ('[device.a]\nprofile = "x"', "device"),
    ],
)
def test_a_mistake_is_one_line_with_the_file(tmp_path, text, words):
    home = Home(tmp_path)
    home.devices.write_text(text)

    with pytest.raises(SettingsError) as raised:
        load_devices(home)
    assert words in str(raised.value)
    assert str(raised.value).startswith(f"{home.devices}: ")
    assert "\n" not in str(raised.value)


def test_a_device_is_added_behind_the_others(home):
    add_device(home, "new", "eastron-sdm630", METER, 250)

    assert names(home) == ["meter", "meter-2", "plug", "new"]
    assert home.devices.read_text().startswith(FILE.rstrip())
    assert load_devices(home)[-1].config.interval_ms == 250


def test_a_first_device_makes_the_file(tmp_path):
    add_device(Home(tmp_path), "new", 'odd "profile"', None, 1000)

    assert load_devices(Home(tmp_path))[0].config.profile == 'odd "profile"'


@pytest.mark.parametrize(
    ("name", "interval_ms", "words"),
    [
        ("plug", 1000, "exists already"),
        ("Big", 1000, "not a device name"),
        ("a.b", 1000, "devices.a"),
        ("x]\n[devices.y", 1000, "devices.x"),
        ("new", 1, "interval_ms"),
    ],
)
def test_what_cannot_be_added_leaves_the_file_alone(home, name, interval_ms, words):
    with pytest.raises(SettingsError, match=words):
        add_device(home, name, "json-energy", None, interval_ms)
    assert home.devices.read_text() == FILE


def test_a_removed_device_takes_its_sessions_along_and_nothing_else(home):
    remove_device(home, "meter-2")

    assert names(home) == ["meter", "plug"]
    assert ADDRESS not in home.devices.read_text()
    assert comments(home) == comments_of(FILE), "comments belong to what follows them"


def comments_of(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("# ")]


def test_a_name_that_begins_like_another_is_another(home):
    remove_device(home, "meter")
    assert names(home) == ["meter-2", "plug"]
    assert sessions(home, "meter-2") == ["a"]


def test_a_quoted_name_is_found(home):
    bind_session(home, "plug", ADDRESS, "s", 1)
    assert sessions(home, "plug") == ["s"]

    remove_device(home, "plug")
    assert names(home) == ["meter", "meter-2"]


def test_a_session_is_bound_behind_the_devices_own_lines(home):
    bind_session(home, "meter", ADDRESS, 'a "day"', 600_000)
    bind_session(home, "meter-2", ADDRESS, "b", 1)

    assert sessions(home, "meter") == ['a "day"']
    assert sessions(home, "meter-2") == ["a", "b"]
    assert comments(home) == comments_of(FILE)
    text = home.devices.read_text()
    assert text.index("# The plug of the fridge") < text.index("[devices.meter-2]")
    assert text.index("[[devices.meter.sessions]]") < text.index("# The plug of the fridge")


def test_sections_of_a_device_may_stand_apart(tmp_path):
    home = Home(tmp_path)
    home.devices.write_text(
        '[devices.a]\nprofile = "x"\n[devices.b]\nprofile = "x"\n'
        f'[[devices.a.sessions]]\ncontract = "{ADDRESS}"\nsession = "1"\n'
    )
    bind_session(home, "a", ADDRESS, "2", 1)
    assert sessions(home, "a") == ["1", "2"]

    remove_device(home, "a")
    assert names(home) == ["b"]
    assert home.devices.read_text() == '[devices.b]\nprofile = "x"\n'


@pytest.mark.parametrize(
    "text",
    [
        '[devices]\na = { profile = "x" }\n',
        'devices.a.profile = "x"\n',
        '[devices]\na.profile = "x"\n',
    ],
)
def test_a_form_that_commands_cannot_edit_is_named_and_left_alone(tmp_path, text):
    home = Home(tmp_path)
    home.devices.write_text(text)
    assert names(home) == ["a"]

    for edit in (
        lambda: remove_device(home, "a"),
        lambda: bind_session(home, "a", ADDRESS, "s", 1),
    ):
        with pytest.raises(SettingsError, match="by hand"):
            edit()
    assert home.devices.read_text() == text


@pytest.mark.parametrize("edit", [remove_device, lambda h, n: bind_session(h, n, ADDRESS, "s", 1)])
@pytest.mark.parametrize("has_file", [True, False])
def test_an_unknown_device_is_one_line(home, edit, has_file):
    if not has_file:
        home.devices.unlink()
    with pytest.raises(SettingsError, match="no device 'gone' in"):
        edit(home, "gone")


def test_a_file_with_windows_line_ends(home):
    home.devices.write_bytes(FILE.replace("\n", "\r\n").encode())
    add_device(home, "new", "json-energy", None, 1000)
    bind_session(home, "meter", ADDRESS, "s", 1)
    remove_device(home, "meter-2")

    assert names(home) == ["meter", "plug", "new"]
    assert comments(home) == comments_of(FILE)


def test_comments_in_any_script_survive(home):
    text = '# Zähler\u2028im Keller \x85 电表\n[devices.a]\nprofile = "x"\n\n[devices.b]\nprofile = "x"\n'
    home.devices.write_text(text, encoding="utf-8")
    remove_device(home, "b")

    kept = home.devices.read_text(encoding="utf-8")
    assert kept.startswith("# Zähler\u2028im Keller \x85 电表\n[devices.a]")


def test_a_contract_address_that_is_none_is_refused_before_the_file_changes(home):
    with pytest.raises(SettingsError, match=r"devices\.meter"):
        bind_session(home, "meter", "ssp1nonsense", "s", 1)
    assert home.devices.read_text() == FILE


DEVICE_NAMES = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,6}", fullmatch=True).filter(
    lambda name: name not in ("ss", "homeassistant")
)


@hypothesis_settings(max_examples=40)  # each step is written to the disk
@given(st.lists(DEVICE_NAMES, unique=True, min_size=1, max_size=6), st.data())
def test_what_is_added_bound_and_removed_leaves_the_rest_as_it_was(tmp_path_factory, chosen, data):
    home = Home(tmp_path_factory.mktemp("devices"))
    for name in chosen:
        add_device(home, name, f"profile of {name}", None, 1000)
        bind_session(home, name, ADDRESS, f"session of {name}", 1)
    before = {entry.config.name: entry for entry in load_devices(home)}
    assert list(before) == chosen

    for name in data.draw(st.permutations(chosen)):
        remove_device(home, name)
        before.pop(name)
        assert {entry.config.name: entry for entry in load_devices(home)} == before
