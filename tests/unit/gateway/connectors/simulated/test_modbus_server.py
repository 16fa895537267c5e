"""The simulated meter's registers and command line, without a socket."""

import argparse

import pytest

from gateway.clock import SystemClock
from gateway.connectors.simulated.meter import START_ENERGY_MWH, FaultKind, Meter
from gateway.connectors.simulated.modbus_server import (
    SimulatedMeter,
    main,
    parse_arguments,
    parse_fault,
)
from gateway.errors import Rejected
from gateway.profiles.library import ProfileLibrary
from gateway.profiles.modbus_map import decode_registers, plan_blocks

START_MS = 1_780_272_000_000
LIBRARY = ProfileLibrary(None)
MODBUS_PROFILES = [name for name in LIBRARY.names() if LIBRARY.get(name).transport == "modbus"]


@pytest.mark.parametrize("name", MODBUS_PROFILES)
def test_every_modbus_profile_can_be_played(name):
    profile = LIBRARY.get(name)
    simulated = SimulatedMeter(profile, Meter(START_MS, 1), 1, SystemClock())

    registers = simulated.registers()

    for block in plan_blocks(profile):
        for address in range(block.address, block.address + block.count):
            assert 0 <= registers[block.function, address] <= 0xFFFF
    quantities = decode_registers(profile, registers)
    assert not isinstance(quantities, Rejected)
    energies = [one.value for one in quantities if one.name.startswith("energy_")]
    assert START_ENERGY_MWH // 1000 in energies
    assert simulated.device().id == 0


def test_a_fault_has_a_kind_and_a_delay():
    assert parse_fault("reset-after=10") == (FaultKind.RESET, 10.0)
    assert parse_fault("null-after=0.25") == (FaultKind.NULL, 0.25)


@pytest.mark.parametrize(
    "text", ["", "reset-after", "reset-after=", "reset-after=-1", "reset-after=nan", "burn-after=1"]
)
def test_any_other_fault_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match=r"SECONDS|seconds must be"):
        parse_fault(text)


@pytest.mark.parametrize(
    "wrong", [("--port", "65536"), ("--port", "-1"), ("--speed", "0"), ("--seed", "x")]
)
def test_options_out_of_range_are_refused(wrong, capsys):
    with pytest.raises(SystemExit):
        parse_arguments(["--profile", "eastron-sdm630", "--port", "0", *wrong])

    assert wrong[0] in capsys.readouterr().err


@pytest.mark.parametrize(
    ("profile", "complaint"),
    [("eastron-sdm63", "eastron-sdm630"), ("shelly-plus-plug-s", "not a Modbus profile")],
)
def test_a_profile_that_cannot_be_played_ends_it_with_one_line(profile, complaint):
    with pytest.raises(SystemExit, match=complaint) as caught:
        main(["--profile", profile, "--port", "0"])

    assert "\n" not in str(caught.value)
