"""RFC 7512, as far as it names our keys: what is understood, and what is refused with a way to mend it."""

from pathlib import Path

import pytest

from gateway.errors import AgentError
from gateway.smart_agent.keys import Purpose
from gateway.smart_agent.providers.pkcs11 import name_of
from gateway.smart_agent.providers.pkcs11_uri import Pkcs11Uri, parse_pkcs11_uri

MODULE = "module-path=/usr/lib/softhsm/libsofthsm2.so"
SOFTHSM = Path("/usr/lib/softhsm/libsofthsm2.so")


def test_the_least_a_uri_says():
    assert parse_pkcs11_uri(f"pkcs11:token=gw?{MODULE}") == Pkcs11Uri(
        SOFTHSM, object="smartshare", token="gw"
    )


def test_all_that_a_uri_can_say():
    uri = parse_pkcs11_uri(
        "pkcs11:token=The%20token;serial=01ab;manufacturer=SoftHSM%20project;model=SoftHSM%20v2;"
        f"slot-id=7;object=gate;id=%00%FF;type=private?{MODULE}&pin-source=file:/run/pin"
    )

    assert uri == Pkcs11Uri(
        SOFTHSM,
        "gate",
        b"\x00\xff",
        "The token",
        "01ab",
        "SoftHSM project",
        "SoftHSM v2",
        7,
        Path("/run/pin"),
    )


@pytest.mark.parametrize("text", ["/run/pin", "file:/run/pin", "file:///run/pin", "%2Frun%2Fpin"])
def test_a_pin_source_in_each_of_its_forms(text):
    assert parse_pkcs11_uri(f"pkcs11:token=gw?{MODULE}&pin-source={text}").pin_source == Path(
        "/run/pin"
    )


@pytest.mark.parametrize(
    ("uri", "mend"),
    [
        ("file:x", "is not `pkcs11:...`"),
        ("pkcs11:token=gw", "add .module-path=/PATH"),
        ("pkcs11:token=gw?module-path=lib.so", "add .module-path=/PATH"),
        (f"pkcs11:object=x?{MODULE}", "no token is named"),
        (f"pkcs11:token=?{MODULE}", "token is empty"),
        (f"pkcs11:token=a;token=b?{MODULE}", "write it once"),
        (f"pkcs11:token?{MODULE}", "write it once"),
        (f"pkcs11:token=%zz?{MODULE}", "percent-encoded"),
        (f"pkcs11:token=%ff?{MODULE}", "not UTF-8"),
        (f"pkcs11:token=a%0Ab?{MODULE}", "not printable"),
        (f"pkcs11:token=gw;id=?{MODULE}", "id: 1 to 32 bytes"),
        (f"pkcs11:token=gw;slot-id=x?{MODULE}", "slot-id is not a number"),
        (f"pkcs11:token=gw;type=cert?{MODULE}", "only `type=private`"),
        (f"pkcs11:token=gw;colour=red?{MODULE}", "'colour' is not understood"),
        (f"pkcs11:token=gw?{MODULE}&pin-source=pin", "pin-source: write file:/"),
        (f"pkcs11:token=gw?{MODULE}&pin-source=|cat", "pin-source: write file:/"),
    ],
)
def test_what_is_not_understood_is_refused_in_one_line(uri, mend):
    with pytest.raises(AgentError, match=mend) as caught:
        parse_pkcs11_uri(uri)
    assert "\n" not in str(caught.value)


def test_a_pin_in_a_uri_is_refused_and_not_repeated():
    with pytest.raises(AgentError, match="must not hold the PIN") as caught:
        parse_pkcs11_uri(f"pkcs11:token=gw?{MODULE}&pin-value=secret-pin")
    assert "secret-pin" not in str(caught.value)


def test_there_is_a_number_for_every_purpose():
    numbers = [name_of(Pkcs11Uri(SOFTHSM, id=b"i"), purpose) for purpose in Purpose]

    assert len(set(numbers)) == len(Purpose)
    assert numbers[0] == ("smartshare-node", b"i\x01")
