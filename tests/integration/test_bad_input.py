"""Bad input gets one line that says what, where and what to do; exit code 1, and never a traceback.

Each case is a file that a person could have written, the command that meets it, and the words that
the line must contain: where the mistake is, and what is wrong or what to write.
"""

import shutil
from importlib import resources
from pathlib import Path

import pytest

from edge_contracts.library import library_names
from gateway.app.provision import initialise
from gateway.cli.main import main
from gateway.clock import SystemClock
from gateway.settings import Home
from ledger.params import PROTOCOL_VERSION

LIBRARY = Path(str(resources.files("edge_contracts") / "library"))
PROFILES = Path(str(resources.files("device_profiles")))


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    home = Home(tmp_path_factory.mktemp("bad-input") / "home")
    initialise(home, "test", SystemClock())
    return home


def run(capsys, *arguments: str) -> tuple[int, str]:
    code = main(arguments)
    captured = capsys.readouterr()
    return code, captured.err + captured.out


def assert_one_line(output: str, *words: str) -> None:
    lines = output.strip().splitlines()
    assert len(lines) == 1, output
    assert "Traceback" not in output
    assert "internal error" not in output
    for word in words:
        assert word in lines[0], f"{word!r} is missing in {lines[0]!r}"


SETTINGS = {
    "not TOML": ("name = ", "smartshare.toml", "not valid TOML"),
    "no name": ("[broker]\n", "smartshare.toml", "name"),
    "name of another kind": ("name = 5\n", "smartshare.toml", "name", "str"),
    "name with a slash": ('name = "a/b"\n', "smartshare.toml", "name"),
    "unknown key": ('name = "a"\ncolour = "red"\n', "smartshare.toml", "colour"),
    "unknown key in a section": ('name = "a"\n[broker]\nport = 1\n', "smartshare.toml", "port"),
    "listen without port": ('name = "a"\n[broker]\nlisten = "here"\n', "listen", "HOST:PORT"),
    "listen on port 0": ('name = "a"\n[broker]\nlisten = "h:0"\n', "listen", "HOST:PORT"),
    "too many readings": ('name = "a"\n[anchoring]\nreadings_max = 5000\n', "readings_max", "1000"),
    "negative age": ('name = "a"\n[anchoring]\nage_max_ms = -1\n', "age_max_ms"),
    "text for a flag": ('name = "a"\n[discovery]\nenabled = "yes"\n', "enabled", "bool"),
    "half a simulation": ('name = "a"\n[simulation]\nfactor = 2\n', "simulation", "start_ms"),
}


@pytest.mark.parametrize("case", SETTINGS.values(), ids=SETTINGS.keys())
def test_settings(node, tmp_path, capsys, case):
    text, *words = case
    home = tmp_path / "home"
    shutil.copytree(node.path, home)
    (home / "smartshare.toml").write_text(text)
    code, output = run(capsys, "chain", "status", "--home", str(home))
    assert code == 1
    assert_one_line(output, *words)


def device(**fields: object) -> str:
    known = {"profile": '"eastron-sdm630"', "address": '"modbus-tcp://h:502?unit=1"', **fields}
    lines = [f"{key} = {value}" for key, value in known.items() if value is not None]
    return "\n".join(["[devices.meter]", *lines, ""])


SESSION = '[[devices.meter.sessions]]\ncontract = "{}"\nsession = "s"\n'
DEVICES = {
    "not TOML": ("[devices.meter\n", "devices.toml", "not valid TOML"),
    "no profile": (device(profile=None), "devices.meter", "profile"),
    "name with capitals": (device().replace("meter", "Meter"), "Meter", "a-z"),
    "address of another kind": (device(address='"http://h"'), "devices.meter", "modbus-tcp://"),
    "address without host": (device(address='"modbus-tcp://:502"'), "devices.meter", "HOST"),
    "port out of range": (device(address='"modbus-tcp://h:70000"'), "devices.meter", "port"),
    "unit out of range": (device(address='"modbus-tcp://h?unit=300"'), "devices.meter", "unit"),
    "interval too short": (device(interval_ms=1), "interval_ms", "50"),
    "interval of text": (device(interval_ms='"fast"'), "interval_ms", "int"),
    "unknown key": (device(colour='"red"'), "colour"),
    "contract mistyped": (device() + SESSION.format("ssp1qqq"), "devices.meter", "62"),
    "contract of another kind": (device() + SESSION.format("0x12"), "devices.meter", "ssp1"),
}


@pytest.mark.parametrize("case", DEVICES.values(), ids=DEVICES.keys())
def test_devices(node, tmp_path, capsys, case):
    text, *words = case
    home = tmp_path / "home"
    shutil.copytree(node.path, home)
    (home / "devices.toml").write_text(text)
    code, output = run(capsys, "device", "list", "--home", str(home))
    assert code == 1
    assert_one_line(output, "devices.toml", *words)


def genesis_cases(text: str) -> dict[str, tuple[str, ...]]:
    return {
        "empty": ("", "genesis"),
        "not JSON": ("{", "genesis"),
        "a list": ("[]", "genesis"),
        "no agents": (text.replace('"agents"', '"agent"'), "agent"),
        "mistyped address": (text.replace("ssp1", "ssp2", 1), "ssp1"),
        "negative amount": (text.replace('"amount": ', '"amount": -'), "amount"),
        "fraction": (text.replace('"amount": ', '"amount": 0.'), "amount"),
        "slot of 1 ms": (text.replace('"slot_ms": 3000', '"slot_ms": 1'), "slot_ms"),
        "unknown field": (text.replace("{", '{"colour": 1,', 1), "colour"),
        "later version": (
            text.replace(f'"version": {PROTOCOL_VERSION}', '"version": 9'),
            "version",
        ),
    }


@pytest.mark.parametrize("name", genesis_cases("").keys())
def test_genesis(node, tmp_path, capsys, name):
    text = node.genesis.read_text()
    broken, *words = genesis_cases(text)[name]
    assert broken != text
    path = tmp_path / "genesis.json"
    path.write_text(broken)
    receipt = tmp_path / "receipt.json"
    receipt.write_text("{}")
    code, output = run(capsys, "verify", str(receipt), "--genesis", str(path))
    assert code == 1
    assert_one_line(output, "genesis.json", *words)


CONTRACTS = {
    "no manifest": (lambda f: (f / "manifest.toml").unlink(), "manifest.toml"),
    "manifest is not TOML": (lambda f: (f / "manifest.toml").write_text("name ="), "manifest.toml"),
    "unknown argument type": (
        lambda f: edit(f / "manifest.toml", 'session = "text"', 'session = "float"'),
        "manifest.toml",
        "session",
    ),
    "unknown module": (
        lambda f: edit(f / "manifest.toml", '"metering"', '"magic"'),
        "magic",
    ),
    "no code": (lambda f: (f / "contract.lua").unlink(), "contract.lua"),
    "syntax error": (lambda f: append(f / "contract.lua", "\nif then"), "contract.lua:"),
    "a float": (lambda f: append(f / "contract.lua", "\nlocal x = 1.5"), "contract.lua:"),
    "division": (lambda f: append(f / "contract.lua", "\nlocal x = 1 / 2"), "contract.lua:"),
    "os library": (
        lambda f: prepend(f / "contract.lua", "local t = os.time()\n"),
        "contract.lua:1",
        "os",
    ),
    "not UTF-8": (lambda f: (f / "contract.lua").write_bytes(b"\xff\xfe"), "UTF-8"),
}


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


def prepend(path: Path, text: str) -> None:
    path.write_text(text + path.read_text())


@pytest.mark.parametrize("case", CONTRACTS.values(), ids=CONTRACTS.keys())
def test_contracts(tmp_path, capsys, case):
    assert "settlement" in library_names()
    break_it, *words = case
    folder = tmp_path / "settlement"
    shutil.copytree(LIBRARY / "settlement", folder)
    break_it(folder)
    code, output = run(capsys, "contract", "check", str(folder))
    assert code == 1
    assert_one_line(output, *words)


PROFILE_EDITS = {
    "not YAML": (("transport: modbus", "transport: [modbus"), "yaml:"),
    "unknown transport": (("transport: modbus", "transport: carrier-pigeon"), "transport"),
    "an anchor": (("transport: modbus", "transport: &x modbus"), "anchor"),
    "a tag": (("transport: modbus", "transport: !!python/none modbus"), "tag"),
    "a duplicate key": (("transport: modbus", "transport: modbus\ntransport: mqtt"), "transport"),
    "an unknown key": (("transport: modbus", "transport: modbus\ncolour: red"), "colour"),
}


@pytest.mark.parametrize("case", PROFILE_EDITS.values(), ids=PROFILE_EDITS.keys())
def test_profiles(tmp_path, capsys, case):
    (old, new), *words = case
    path = tmp_path / "eastron-sdm630.yaml"
    shutil.copy(PROFILES / "modbus" / "eastron-sdm630.yaml", path)
    edit(path, old, new)
    code, output = run(capsys, "profile", "check", str(path))
    assert code == 1
    assert_one_line(output, "eastron-sdm630.yaml:", *words)


def test_missing_files_and_folders(node, tmp_path, capsys):
    cases = [
        (("verify", str(tmp_path / "none"), "--genesis", str(node.genesis)), "none"),
        (("verify", str(node.genesis), "--genesis", str(tmp_path / "none")), "none"),
        (("readings", "meter", "--home", str(node.path)), "readings.db"),
        (("chain", "status", "--home", str(tmp_path)), "smartshare init"),
        (("chain", "status", "--home", str(node.path)), "running"),
        (("wallet", "send", "ssp1x", "1", "--home", str(node.path)), "62"),
        (("profile", "show", "no-such-thing", "--home", str(node.path)), "no-such-thing"),
        (("contract", "check", "no-such-thing"), "library"),
        (("device", "add", "Big", "--profile", "x", "--home", str(node.path)), "a-z"),
        (("init", "--new-network", "--home", str(node.path)), "already"),
    ]
    for arguments, word in cases:
        code, output = run(capsys, *arguments)
        assert code == 1, arguments
        assert_one_line(output, word)


def test_identity_wallet_and_meter_commands(node, tmp_path, capsys):
    home = ("--home", str(node.path))
    here = tmp_path / "something.txt"
    here.write_bytes(b"\xff\x00 not what it should be")
    cases = [
        (("wallet", "policy", *home), "SmartAgent is not running"),
        (("wallet", "cancel", "abc", *home), "no transaction begins with"),
        (("wallet", "replace", "abc", *home), "no transaction begins with"),
        (("wallet", "send", "ssp1x", "1", "--coin", "zz", *home), "62"),
        (("wallet", "history", "--last", "0", *home), "--last 0"),
        (("identity", "show", *home), "SmartAgent is not running"),
        (("identity", "retire", "ssp1x", *home), "--for-ever"),
        (("identity", "retire", "ssp1x", "--for-ever", *home), "62"),
        (("grant", "show", str(tmp_path / "none")), "cannot be read"),
        (("grant", "show", str(here)), "not a grant"),
        (("grant", "status", "11" * 31, *home), "cannot be read"),
        (
            ("software", "list", "11", "--label", "x", "--key", str(here), *home),
            "not a measurement",
        ),
        (("meter", "list", "../x", *home), "not a device name"),
        (("meter", "record", "meter", *home), "readings.db"),
        (("meter", "export", "meter", *home), "has no pages"),
        (("meter", "verify", str(here)), "not UTF-8"),
        (("meter", "verify", str(tmp_path / "none")), "none"),
    ]
    for arguments, word in cases:
        code, output = run(capsys, *arguments)
        assert code == 1, arguments
        assert_one_line(output, word)
    for arguments in (("wallet", "queue"), ("wallet", "history"), ("meter", "list", "meter")):
        code, _ = run(capsys, *arguments, *home)
        assert code == 0, arguments


def test_wrong_usage_exits_with_2_and_one_line(capsys):
    for arguments in (("fly",), ("init",), ("chain",), ("device", "add"), ("readings",)):
        code, output = run(capsys, *arguments)
        assert code == 2, arguments
        assert len(output.strip().splitlines()) == 1, output
