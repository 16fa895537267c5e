"""OCMF text in both directions, with the independent package `pyocmf` as the other side."""

import base64
import decimal
import json

import msgspec
import pytest
from pyocmf import OCMF
from pyocmf.enums.crypto import SignatureEncodingType
from pyocmf.models.public_key import PublicKey

from gateway.errors import SettingsError
from gateway.metering.ecdsa import Curve, EcdsaKey, verify
from gateway.metering.ocmf import build_payload, build_text
from gateway.metering.ocmf_text import TEXT_BYTES_MAX, parse_ocmf, parse_public_key
from gateway.metering.pages import hash_page
from ledger.types.metering import Mark, MeterState
from ledger.types.reading import ClockStatus
from tests.support.metering import METER, SESSION, as_page, make_record

SECRET = b"s" * 32
PAGES = [as_page(record) for record in SESSION]


def text_of(pages=PAGES, curve: Curve = Curve.SECP256R1) -> str:
    payload = build_payload(pages, "0.1.0")
    return build_text(payload, EcdsaKey(SECRET, curve).sign(payload), curve)


@pytest.mark.parametrize("curve", list(Curve))
def test_pyocmf_reads_our_text_strictly_and_verifies_it(curve):
    text = text_of(curve=curve)
    key = EcdsaKey(SECRET, curve)
    theirs = OCMF.from_string(text, strict=True)
    assert theirs.verify_signature(key.public_der.hex())
    assert theirs.verify_signature(PublicKey.from_string(base64.b64encode(key.public_der).decode()))
    assert theirs.check_eichrecht(errors_only=True) == []
    assert theirs.payload.PG == "T3"
    assert [one.TX for one in theirs.payload.RD] == ["B", "T", "E"]
    assert [one.RV for one in theirs.payload.RD] == [
        decimal.Decimal(text) for text in ("12358.658", "12360.000", "12361.001")
    ]
    assert [one.time_status for one in theirs.payload.RD] == ["S"] * 3
    assert theirs.payload.RD[0].timestamp.timestamp() * 1000 == SESSION[0].time_ms
    other = EcdsaKey(b"o" * 32, curve)
    assert not theirs.verify_signature(other.public_der.hex())


def test_pyocmf_refuses_our_text_with_a_changed_digit():
    text = text_of().replace("12361.001", "12361.002")
    assert not OCMF.from_string(text).verify_signature(
        EcdsaKey(SECRET, Curve.SECP256R1).public_der.hex()
    )


@pytest.mark.parametrize("curve", list(Curve))
@pytest.mark.parametrize("encoding", list(SignatureEncodingType))
def test_we_read_and_verify_a_text_that_pyocmf_wrote(curve, encoding):
    """Their serialisation of a session; the signature is made over exactly those bytes."""
    key = EcdsaKey(SECRET, curve)
    theirs = OCMF.from_string(text_of(curve=curve))
    payload = theirs.to_string().split("|")[1]
    signature = key.sign(payload.encode())
    encoded = (
        signature.hex()
        if encoding is SignatureEncodingType.HEX
        else base64.b64encode(signature).decode()
    )
    theirs.signature.SD, theirs.signature.SE = encoded, encoding
    raw = theirs.to_string().encode()
    assert OCMF.from_string(raw.decode()).verify_signature(key.public_der.hex())

    ours = parse_ocmf(raw)
    assert ours.raw == raw
    assert ours.is_signed_by(key.public_der)
    assert not ours.is_signed_by(EcdsaKey(b"o" * 32, curve).public_der)
    wrong_curve = Curve.SECP256K1 if curve is Curve.SECP256R1 else Curve.SECP256R1
    assert not ours.is_signed_by(EcdsaKey(SECRET, wrong_curve).public_der)


def test_a_text_keeps_its_bytes_whatever_its_layout():
    """Blanks, order and number forms are the maker's: the signature is over them."""
    key = EcdsaKey(SECRET, Curve.SECP256R1)
    payload = '{ "FV" : "1.0",\t"RD":[ {"RV":1.50e0, "TM":"x"} ], "ZZ": "\\u00e9é" }'
    sections = ("OCMF", payload, json.dumps({"SD": key.sign(payload.encode()).hex()}))
    text = parse_ocmf("|".join(sections).encode())
    assert text.payload == payload.encode()
    assert text.is_signed_by(key.public_der)


def test_an_appended_key_is_found():
    key = EcdsaKey(SECRET, Curve.SECP256R1)
    text = parse_ocmf(f"{text_of()}|{key.public_der.hex()}".encode())
    assert text.embedded_key == key.public_der


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "it is not `OCMF"),
        (b"OCMX|{}|{}", "it is not `OCMF"),
        (b"OCMF|{}", "it is not `OCMF"),
        (b"OCMF|[]|{}", "payload is no JSON object"),
        (b"OCMF|{|{}", "payload is no JSON"),
        (b'OCMF|{"a":1,"a":2}|{}', "a name stands twice"),
        (b"OCMF|" + b"[" * 5000 + b"|{}", "payload is no JSON"),
        (b"OCMF|{}|{}", "has no readings"),
        (b'OCMF|{"RD":[{}]}|{}', "SD is neither"),
        (b'OCMF|{"RD":[{}]}|{"SD":"zz"}', "SD is not hex"),
        (b'OCMF|{"RD":[{}]}|{"SD":"!!","SE":"base64"}', "SD is not base64"),
        (b'OCMF|{"RD":[{}]}|{"SD":"00","SE":"rot13"}', "SD is neither"),
        (b'OCMF|{"RD":[{}]}|{"SD":"00","SA":"ECDSA-secp192r1-SHA256"}', "can be checked here"),
        (b'OCMF|{"RD":[{}]}|{"SD":"00","SA":7}', "can be checked here"),
        (b"OCMF|\xff|{}", "is not UTF-8"),
        (b"x" * (TEXT_BYTES_MAX + 1), "at most"),
    ],
)
def test_what_is_no_ocmf_is_one_line(raw, words):
    with pytest.raises(SettingsError) as raised:
        parse_ocmf(raw)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("key", [b"", b"nonsense", bytes(91)])
def test_a_key_that_is_none_verifies_nothing(key):
    assert not verify(key, Curve.SECP256R1, b"m", b"s")
    with pytest.raises(SettingsError, match="public key"):
        parse_public_key("not a key!")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"quantity": "voltage"}, "energy in Wh or kWh only"),
        ({"unit": "MWh"}, "energy in Wh or kWh only"),
        ({"tariff": "a|b"}, "allows no '|'"),
        ({"meter": msgspec.structs.replace(METER, serial="1|2")}, "allows no '|'"),
    ],
)
def test_what_the_format_has_no_place_for_is_refused(changes, words):
    with pytest.raises(SettingsError, match=words.replace("|", r"\|")):
        build_payload([as_page(make_record(**changes))], "0.1.0")


@pytest.mark.parametrize(
    "second",
    [
        {"session": "car 2"},
        {"meter": msgspec.structs.replace(METER, serial="2")},
        {"signer": b"x" * 32},
        {"quantity": "energy_export_total"},
        {"page": 1},
    ],
    ids=lambda second: next(iter(second)),
)
def test_one_text_is_one_meters_one_session(second):
    pages = [as_page(make_record()), as_page(make_record(**({"page": 2} | second)))]
    with pytest.raises(SettingsError):
        build_payload(pages, "0.1.0")


def test_no_text_is_empty_or_endless():
    for pages in ([], [as_page(make_record(page=n)) for n in range(1, 66)]):
        with pytest.raises(SettingsError, match="1 to 64"):
            build_payload(pages, "0.1.0")


def test_states_of_meter_and_clock_are_told():
    record = make_record(
        value=None,
        state=MeterState.READ_ERROR,
        clock=ClockStatus.UNSYNCHRONISED,
        mark=Mark.ABORT,
        meter=msgspec.structs.replace(METER, serial=""),
    )
    payload = json.loads(build_payload([as_page(record)], "0.1.0"))
    (reading,) = payload["RD"]
    assert (reading["TX"], reading["ST"], reading["EF"]) == ("A", "F", "E")
    assert reading["TM"].endswith("+0000 U")
    assert "RV" not in reading
    assert payload["MS"] == METER.device_id.hex()
    assert payload["ZH"] == [hash_page(as_page(record).payload).hex()]


def test_keys_follow_the_secret_and_the_curve_and_signatures_are_repeatable():
    first, again = EcdsaKey(SECRET, Curve.SECP256R1), EcdsaKey(SECRET, Curve.SECP256R1)
    assert first.public_der == again.public_der
    assert first.sign(b"m") == again.sign(b"m")
    assert first.public_der != EcdsaKey(b"o" * 32, Curve.SECP256R1).public_der
    assert first.public_der != EcdsaKey(SECRET, Curve.SECP256K1).public_der
    assert "sealed" in repr(first)
