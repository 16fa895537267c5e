"""Device addresses: one form, everything else refused with one line."""

import pytest
from hypothesis import given, strategies as st

from gateway.errors import SettingsError
from gateway.model.device import DeviceConfig, ModbusTcpAddress, parse_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("modbus-tcp://192.168.1.50:502?unit=1", ModbusTcpAddress("192.168.1.50", 502, 1)),
        ("modbus-tcp://192.168.1.50", ModbusTcpAddress("192.168.1.50", 502, 1)),
        ("modbus-tcp://meter.local:1502", ModbusTcpAddress("meter.local", 1502, 1)),
        ("modbus-tcp://Meter-1?unit=0", ModbusTcpAddress("meter-1", 502, 0)),
        ("modbus-tcp://[fe80::1]:502?unit=247", ModbusTcpAddress("fe80::1", 502, 247)),
        ("modbus-tcp://h:65535?unit=007", ModbusTcpAddress("h", 65535, 7)),
    ],
)
def test_a_well_formed_address_is_understood(text, address):
    assert parse_address(text) == address
    assert parse_address(str(address)) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "192.168.1.50",
        "modbus-tcp:/192.168.1.50",
        "modbus-tcp://",
        "modbus-tcp://:502",
        "modbus-tcp://?unit=1",
        "modbus-rtu://192.168.1.50",
        "MODBUS-TCP://192.168.1.50",
        " modbus-tcp://192.168.1.50",
        "modbus-tcp://192.168.1.50\n",
        "modbus-tcp://192.168.1.50:",
        "modbus-tcp://192.168.1.50:0",
        "modbus-tcp://192.168.1.50:65536",
        "modbus-tcp://192.168.1.50:-1",
        "modbus-tcp://192.168.1.50:502/",
        "modbus-tcp://192.168.1.50:502/path?unit=1",
        "modbus-tcp://192.168.1.50:502?",
        "modbus-tcp://192.168.1.50:502?unit=",
        "modbus-tcp://192.168.1.50:502?unit=248",
        "modbus-tcp://192.168.1.50:502?unit=-1",
        "modbus-tcp://192.168.1.50:502?unit=1&unit=2",
        "modbus-tcp://192.168.1.50:502?unit=1&timeout=3",
        "modbus-tcp://192.168.1.50:502?slave=1",
        "modbus-tcp://192.168.1.50:502?unit=1#x",
        "modbus-tcp://user@192.168.1.50",
        "modbus-tcp://user:secret@192.168.1.50",
        "modbus-tcp://192.168.1.500",
        "modbus-tcp://192.168.1",
        "modbus-tcp://a..b",
        "modbus-tcp://-meter",
        "modbus-tcp://fe80::1",
        "modbus-tcp://[fe80::1",
        "modbus-tcp://[1:2]",
        "modbus-tcp://١٩٢.168.1.50",
        "modbus-tcp://192.168.1.50:٥٠٢",
        "modbus-tcp://" + "a" * 64,
        "modbus-tcp://" + "a." * 200 + "b",
    ],
)
def test_a_malformed_address_is_refused_with_one_line(text):
    with pytest.raises(SettingsError) as caught:
        parse_address(text)

    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 700


@given(st.text(max_size=60).map(lambda tail: "modbus-tcp://" + tail))
def test_whatever_is_accepted_survives_its_own_text(text):
    try:
        address = parse_address(text)
    except SettingsError:
        return
    assert parse_address(str(address)) == address


ADDRESS = ModbusTcpAddress("meter", 502, 1)


@pytest.mark.parametrize(
    ("transport", "address", "complaint"),
    [
        ("modbus", None, "add address ="),
        ("mqtt", ADDRESS, "remove its address"),
        ("ble", None, "BLE devices cannot be connected yet"),
        ("ble", ADDRESS, "BLE devices cannot be connected yet"),
        ("carrier-pigeon", None, "unknown transport 'carrier-pigeon'"),
    ],
)
def test_an_address_that_does_not_fit_the_transport_is_refused(transport, address, complaint):
    config = DeviceConfig("meter", "acme-one", address, 1000)

    with pytest.raises(SettingsError, match=r"^devices\.meter: ") as caught:
        config.check_against(transport)

    assert complaint in str(caught.value)


@pytest.mark.parametrize(("transport", "address"), [("modbus", ADDRESS), ("mqtt", None)])
def test_an_address_that_fits_the_transport_is_accepted(transport, address):
    DeviceConfig("meter", "acme-one", address, 1000).check_against(transport)
