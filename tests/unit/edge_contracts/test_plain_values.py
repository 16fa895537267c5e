import pytest

from edge_contracts.errors import ValueFormatError
from edge_contracts.plain_values import format_plain, parse_plain
from edge_contracts.value_types import parse_type

KIND = parse_type({"to": "address", "proofs": ["bytes"], "note": "text?", "extra": "any?"}, "args")


def parse_address(text: str) -> bytes:
    return text.encode().ljust(32, b"\0")


def test_text_means_what_the_type_says():
    raw = {"to": "bob", "proofs": ["00ff", ""], "note": "00ff", "extra": [1, {"a": True}]}

    value = parse_plain(raw, KIND, "args", parse_address)

    assert value == {
        "to": parse_address("bob"),
        "proofs": [b"\x00\xff", b""],
        "note": "00ff",
        "extra": [1, {"a": True}],
    }
    assert format_plain([value])[0]["proofs"] == ["00ff", ""]  # type: ignore[index]


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ({"to": "a", "proofs": ["xyz"]}, r"args.proofs\[1\] is not hexadecimal"),
        ({"to": "a", "proofs": [1.5]}, r"args.proofs\[1\]: a float"),
        ({"to": 5, "proofs": []}, "args.to is not of type address"),
        ({"proofs": []}, "args.to is missing"),
        ({"to": "a", "proofs": [], "other": 1}, "args.other is not known"),
        ([], "args.extra|args.note|args.proofs is missing"),
        ("x", "args is not a record"),
    ],
)
def test_what_does_not_fit_is_named(raw, reason):
    with pytest.raises(ValueFormatError, match=reason):
        parse_plain(raw, KIND, "args", parse_address)
