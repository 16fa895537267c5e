import pytest

from edge_contracts.errors import ManifestError, ValueFormatError
from edge_contracts.value_types import conform, parse_type

ADDRESS = bytes(range(32))


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("int", -5, -5),
        ("amount", 0, 0),
        ("text", "a", "a"),
        ("bytes", b"\xff", b"\xff"),
        ("bytes", "text from Lua", b"text from Lua"),
        ("address", ADDRESS, ADDRESS),
        ("bool", False, False),
        ("any", {"x": [1]}, {"x": [1]}),
        ("any", None, None),
        ("int?", None, None),
        (["int"], [1, 2], [1, 2]),
        (["int"], {}, []),
        ({"a": "int"}, {"a": 1}, {"a": 1}),
        ({"a": "int?"}, [], {}),
        ({"a": ["bytes"]}, {"a": ["x"]}, {"a": [b"x"]}),
    ],
)
def test_values_take_the_form_of_their_type(kind, value, expected):
    assert conform(value, parse_type(kind, "x"), "x") == expected


@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [
        ("int", True, "x is not of type int"),
        ("int", "1", "x is not of type int"),
        ("int", None, "x is missing"),
        ("amount", -1, "x is not an amount: -1"),
        ("amount", 2**63, "x is not an amount"),
        ("text", b"\xff", "x is not of type text"),
        ("bytes", 5, "x is not of type bytes"),
        ("address", bytes(31), "x is not an address of 32 bytes"),
        ("bool", 1, "x is not of type bool"),
        (["int"], [1, "2"], r"x\[2\] is not of type int"),
        (["int"], {"a": 1}, "x is not an array"),
        ({"a": "int"}, {"b": 1}, "x.b is not known; fields are a"),
        ({"a": "int"}, {}, "x.a is missing"),
        ({"a": "int"}, 5, "x is not a record"),
        ({"a": {"b": "int"}}, {"a": {"b": "c"}}, "x.a.b is not of type int"),
    ],
)
def test_other_values_are_refused_with_their_place(kind, value, reason):
    with pytest.raises(ValueFormatError, match=reason):
        conform(value, parse_type(kind, "x"), "x")


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("float", "m: unknown type 'float'"),
        (5, "m: a type is"),
        (["int", "int"], "m: a type is"),
        ([], "m: a type is"),
        ({"a": {"b": "x"}}, "m.a.b: unknown type"),
        ([[[[[[[[["int"]]]]]]]]], "nested deeper"),
    ],
)
def test_types_that_do_not_exist(kind, reason):
    with pytest.raises(ManifestError, match=reason):
        parse_type(kind, "m")
