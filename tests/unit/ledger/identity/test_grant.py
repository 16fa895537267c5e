"""The form of a grant."""

import msgspec
import pytest

from ledger.codec import canonical
from ledger.identity.grant import (
    GrantLevel,
    Role,
    build_signed_grant,
    compute_grant_id,
    decode_grant,
)
from ledger.identity.refusals import RefusalCode, Refused
from tests.support.identity import (
    FOUNDATION,
    MAKER,
    MAKER_GRANT,
    UNIT,
    grant_id_of,
    sign_grant,
    unit_grant,
)

GRANT = unit_grant(UNIT)


def test_a_grant_comes_back_with_its_envelope_and_its_id_leaves_the_signature_out():
    decoded = decode_grant(sign_grant(GRANT, MAKER))
    assert not isinstance(decoded, Refused)
    grant, envelope = decoded
    assert grant == GRANT
    assert compute_grant_id(envelope) == grant_id_of(GRANT)
    again = decode_grant(build_signed_grant(envelope.payload, bytes(64)))
    assert not isinstance(again, Refused)
    assert compute_grant_id(again[1]) == grant_id_of(GRANT)


def test_a_grant_is_small_enough_for_a_printed_code():
    assert len(sign_grant(GRANT, MAKER)) < 400
    assert len(sign_grant(MAKER_GRANT, FOUNDATION)) < 400


@pytest.mark.parametrize(
    "changes",
    [
        {"not_after_ms": GRANT.not_before_ms},
        {"roles": (Role.FULL, Role.AGENT)},
        {"roles": (Role.FULL, Role.FULL)},
        {"roles": ()},
        {"models": ("gw-1", "gw-2")},
        {"models": ()},
        {"models": ("Gateway 1",)},
        {"issuer": UNIT.address},
        {"level": 3},
        {"serial": bytes(15)},
        {"chain_id": bytes(31)},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_meaningless_grant_is_malformed_whoever_signed_it(changes):
    decoded = decode_grant(sign_grant(msgspec.structs.replace(GRANT, **changes), MAKER))
    assert isinstance(decoded, Refused)
    assert decoded.code is RefusalCode.MALFORMED


def test_a_manufacturers_models_stand_in_order():
    wrong = msgspec.structs.replace(MAKER_GRANT, models=("gw-2", "gw-1"))
    assert isinstance(decode_grant(sign_grant(wrong, FOUNDATION)), Refused)
    assert not isinstance(decode_grant(sign_grant(MAKER_GRANT, FOUNDATION)), Refused)


def test_another_encoding_of_the_same_grant_is_malformed():
    raw = sign_grant(GRANT, MAKER)
    payload = canonical.encode(GRANT)
    assert payload.count(bytes([GrantLevel.UNIT]) + b"\xc4 ") == 1
    stretched = payload.replace(bytes([GrantLevel.UNIT]) + b"\xc4 ", b"\xcc\x02\xc4 ")
    for other in (raw + b"\0", raw[:-1], b"", build_signed_grant(stretched, bytes(64))):
        decoded = decode_grant(other)
        assert isinstance(decoded, Refused)
        assert decoded.code is RefusalCode.MALFORMED
