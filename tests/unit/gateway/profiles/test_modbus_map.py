"""Register planning, decoding and its inverse."""

import pytest
from hypothesis import given, strategies as st

from gateway.errors import Rejected, RejectReason
from gateway.profiles.library import ProfileLibrary
from gateway.profiles.modbus_map import (
    RegisterBlock,
    decode_registers,
    encode_registers,
    plan_blocks,
    spans,
)
from gateway.profiles.profile import (
    AddressRange,
    ModbusMap,
    Profile,
    RegisterMeasure,
    RegisterRun,
    Sample,
)

METER = ProfileLibrary(None).get("eastron-sdm630")
INVERTER = ProfileLibrary(None).get("sunspec-inverter-103")


def make_measure(address, function="input", kind="uint16", **changes):
    return RegisterMeasure(
        name=f"value_{function}_{address}",
        unit="",
        scale=0,
        function=function,
        address=address,
        type=kind,
        **changes,
    )


def make_profile(measures, **changes):
    return Profile(
        name="test",
        vendor="test",
        model="test",
        transport="modbus",
        samples=(Sample("zero", registers=(RegisterRun("input", 0, (0,)),), rejected="no"),),
        modbus=ModbusMap(tuple(measures), **changes),
    )


def plan(addresses, kind="uint16", **changes):
    profile = make_profile([make_measure(one, kind=kind) for one in addresses], **changes)
    return [(block.address, block.count) for block in plan_blocks(profile)]


def test_close_values_share_a_request():
    assert plan([10, 0, 2], gap=8) == [(0, 11)]


def test_a_gap_larger_than_allowed_splits():
    assert plan([0, 9], gap=8) == [(0, 10)]
    assert plan([0, 10], gap=8) == [(0, 1), (10, 1)]


def test_a_request_is_never_longer_than_the_protocol_or_the_device_allows():
    assert plan(range(130)) == [(0, 125), (125, 5)]
    assert plan(range(0, 20, 2), kind="uint32", registers_per_request=7) == [
        (0, 6),
        (6, 6),
        (12, 6),
        (18, 2),
    ]


def test_an_unreadable_register_is_never_bridged():
    hole = (AddressRange("input", 3, 3),)
    assert plan([0, 4], unreadable=hole) == [(0, 1), (4, 1)]
    assert plan([0, 4], unreadable=(AddressRange("holding", 3, 3),)) == [(0, 5)]


def test_functions_are_not_mixed():
    profile = make_profile([make_measure(0), make_measure(1, function="holding")])
    assert plan_blocks(profile) == (RegisterBlock("holding", 1, 1), RegisterBlock("input", 0, 1))


def test_overlapping_values_are_read_once():
    profile = make_profile([make_measure(0, kind="uint32"), make_measure(1)])
    assert plan_blocks(profile) == (RegisterBlock("input", 0, 2),)


@given(
    st.sets(st.integers(0, 400), min_size=1, max_size=40),
    st.integers(0, 125),
    st.integers(4, 125),
    st.integers(0, 400),
)
def test_every_plan_reads_all_and_only_what_it_may(addresses, gap, limit, hole):
    addresses = addresses - {hole - 1, hole} or {hole + 1}
    profile = make_profile(
        [make_measure(one, kind="uint32") for one in addresses],
        gap=gap,
        registers_per_request=limit,
        unreadable=(AddressRange("input", hole, hole),),
    )
    read = [set(range(one.address, one.address + one.count)) for one in plan_blocks(profile)]
    assert all(len(one) <= limit for one in read)
    assert not any(hole in one for one in read)
    assert profile.modbus is not None
    for span in spans(profile.modbus):
        assert any(set(range(span.address, span.address + span.count)) <= one for one in read)


def test_the_shipped_plans():
    assert plan_blocks(METER) == (
        RegisterBlock("input", 0, 18),
        RegisterBlock("input", 52, 24),
        RegisterBlock("input", 342, 2),
    )
    assert plan_blocks(INVERTER) == (
        RegisterBlock("holding", 40000, 4),
        RegisterBlock("holding", 40070, 39),
    )


@pytest.mark.parametrize(
    ("kind", "words", "value"),
    [
        ("uint16", [0xFFFF], 65_535),
        ("int16", [0xFFFF], -1),
        ("uint32", [0x0001, 0x0000], 65_536),
        ("int32", [0xFFFF, 0xFFFE], -2),
        ("int64", [0x8000, 0, 0, 1], None),  # -2**63 + 1 is the smallest
        ("uint64", [0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF], None),
        ("float32", [0x3FC0, 0x0000], 2),  # 1.5: half to even
        ("float32", [0x7F7F, 0xFFFF], None),  # the largest float32 fits no integer here
        ("float32", [0xFF80, 0x0000], None),
    ],
)
def test_types(kind, words, value):
    profile = make_profile([make_measure(0, kind=kind)])
    decoded = decode_registers(profile, {("input", i): word for i, word in enumerate(words)})
    assert not isinstance(decoded, Rejected)
    expected = -(2**63) + 1 if kind == "int64" else value
    assert decoded[0].value == expected


def test_little_word_order():
    profile = make_profile([make_measure(0, kind="uint32", word_order="little")])
    decoded = decode_registers(profile, {("input", 0): 0x0002, ("input", 1): 0x0001})
    assert not isinstance(decoded, Rejected)
    assert decoded[0].value == 0x0001_0002
    assert encode_registers(profile, {"value_input_0": 0x0001_0002}) == {
        ("input", 0): 2,
        ("input", 1): 1,
    }


def test_what_was_not_read_is_no_value_and_nothing_at_all_is_refused():
    words = encode_registers(METER, {"voltage_l1": 2302, "frequency": 5000})
    decoded = decode_registers(METER, {key: word for key, word in words.items() if key[1] < 52})
    assert not isinstance(decoded, Rejected)
    assert {one.name: one.value for one in decoded if one.value is not None} == {"voltage_l1": 2302}
    refused = decode_registers(METER, {})
    assert isinstance(refused, Rejected)
    assert refused.reason is RejectReason.NO_QUANTITIES


def test_an_unread_marker_is_refused():
    words = encode_registers(INVERTER, {"power_active_total": 100})
    del words["holding", 40070]
    refused = decode_registers(INVERTER, words)
    assert isinstance(refused, Rejected)
    assert "holding register 40070 was not read" in refused.detail


def test_a_scale_factor_beyond_its_bounds_is_no_value():
    words = encode_registers(INVERTER, {"power_active_total": 100, "frequency": 5000})
    words["holding", 40085] = 11
    decoded = decode_registers(INVERTER, words)
    assert not isinstance(decoded, Rejected)
    assert {one.name: one.value for one in decoded}["power_active_total"] is None
    assert {one.name: one.value for one in decoded}["frequency"] == 5000


float32_exact = st.none() | st.integers(0, 2**23)


@given(st.lists(float32_exact, min_size=14, max_size=14))
def test_what_a_simulated_meter_encodes_decodes_to_the_same(numbers):
    highest = {one.name: one.range for one in METER.measures}
    values = {}
    for one, number in zip(METER.measures, numbers, strict=True):
        bounds = highest[one.name]
        assert bounds is not None
        low, high = (bound * 10**-one.scale for bound in bounds)
        values[one.name] = None if number is None else max(low, min(number, high))
    decoded = decode_registers(METER, encode_registers(METER, values))
    assert not isinstance(decoded, Rejected)
    assert {one.name: one.value for one in decoded} == values


@given(
    st.none() | st.integers(-32_000, 32_000),
    st.none() | st.integers(1, 2**32 - 1),
    st.none() | st.integers(0, 65_534),
)
def test_what_a_simulated_inverter_encodes_decodes_to_the_same(power, energy, voltage):
    values = {"power_active_total": power, "energy_export_total": energy, "voltage_l2": voltage}
    decoded = decode_registers(INVERTER, encode_registers(INVERTER, values))
    assert not isinstance(decoded, Rejected)
    found = {one.name: one.value for one in decoded}
    assert {name: found[name] for name in values} == values


def test_a_value_too_large_for_its_register_gets_a_coarser_scale_factor():
    decoded = decode_registers(INVERTER, encode_registers(INVERTER, {"power_active_total": 69_104}))
    assert not isinstance(decoded, Rejected)
    assert {one.name: one.value for one in decoded}["power_active_total"] == 69_100
