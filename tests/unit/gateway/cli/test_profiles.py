"""`smartshare profile list` with a folder of own profiles, some of them wrong."""

import json

import pytest

from gateway.cli.main import main

PLUG = """\
name: my-plug
vendor: Me
model: Two
transport: mqtt
mqtt:
  quantities: [{name: power, unit: W, scale: 0, json: p}]
samples:
  - {description: one, payload: '{"p": 1}', values: {power: 1}}
"""


@pytest.fixture
def profiles(tmp_path):
    folder = tmp_path / "profiles"
    folder.mkdir()
    (folder / "my-plug.yaml").write_text(PLUG)
    return folder


def test_the_list_has_the_shipped_profiles_and_the_own_ones(profiles, capsys):
    assert main(["profile", "list", "--home", str(profiles.parent)]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert "my-plug" in printed.out
    assert "eastron-sdm630" in printed.out


def test_a_bad_profile_is_one_line_and_the_others_are_listed(profiles, capsys):
    (profiles / "broken.yaml").write_text("name: broken\n")
    (profiles / "json-energy.yaml").write_text(PLUG)

    assert main(["profile", "list", "--json", "--home", str(profiles.parent)]) == 1

    printed = capsys.readouterr()
    names = [one["name"] for one in json.loads(printed.out)]
    assert {"my-plug", "eastron-sdm630"} <= set(names)
    assert not {"broken", "json-energy"} & set(names)
    assert printed.err.splitlines() == [
        f"{profiles}/broken.yaml:1: `vendor:` is missing; add it",
        f"{profiles}/json-energy.yaml: json-energy ships with the gateway; rename your file",
    ]
