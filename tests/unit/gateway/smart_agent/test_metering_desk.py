"""Pages through the agent: each number once, in order, even over a restart; OCMF of own records alone."""

import msgspec
import pytest
from pyocmf import OCMF

from gateway.errors import AgentError
from gateway.metering.ecdsa import Curve
from gateway.metering.pages import build_signed_record, find_broken, hash_page
from gateway.smart_agent.identity_messages import LeaseStanding, ReportLease
from gateway.smart_agent.messages import Bind, Refused, RefusedReason, Signed
from gateway.smart_agent.metering_messages import (
    AskOcmfKey,
    AskPage,
    NewestPage,
    NotePage,
    OcmfKey,
    OcmfSigned,
    SignMeasurement,
    SignOcmf,
)
from gateway.smart_agent.provision import open_agent
from gateway.smart_agent.unlock import find_unlock
from ledger.codec.canonical import encode
from ledger.crypto.domains import NO_HASH, measurement_message
from ledger.crypto.ed25519 import verify_strict
from ledger.types.metering import Mark, MeteringRecord
from tests.support.metering import METER, make_record, sign_page
from tests.support.transactions import CHAIN_ID

DEVICE = METER.device_id


@pytest.fixture
def bound(agent):
    agent.handle(Bind(CHAIN_ID))
    return agent


def own(agent, **changes: object) -> MeteringRecord:
    return make_record(**({"signer": agent.description.metering} | changes))


def sign(agent, record: MeteringRecord) -> bytes | str:
    """Return the signed record, or the reason of the refusal."""
    payload = encode(record)
    answer = agent.handle(SignMeasurement(payload))
    if isinstance(answer, Refused):
        return answer.reason.value
    assert isinstance(answer, Signed)
    assert verify_strict(agent.description.metering, measurement_message(payload), answer.signature)
    return build_signed_record(payload, answer.signature)


def signed(agent, record: MeteringRecord) -> bytes:
    raw = sign(agent, record)
    assert isinstance(raw, bytes), raw
    return raw


def next_record(agent, **changes: object) -> MeteringRecord:
    newest = agent.handle(AskPage(DEVICE))
    assert isinstance(newest, NewestPage)
    return own(agent, page=newest.page + 1, previous=newest.hash, **changes)


def test_pages_are_signed_in_order_each_once(bound):
    first = own(bound)
    assert isinstance(sign(bound, first), bytes)
    assert isinstance(sign(bound, first), bytes), "the very same bytes, as after a lost answer"
    digest = hash_page(encode(first))
    assert bound.handle(AskPage(DEVICE)) == NewestPage(1, digest)
    assert sign(bound, own(bound, value=1)) == "not-allowed", "another page 1"
    assert sign(bound, own(bound, page=3, previous=digest)) == "not-allowed", "a gap"
    assert sign(bound, own(bound, page=2)) == "not-allowed", "it names no page before"
    second = own(bound, page=2, previous=digest)
    assert isinstance(sign(bound, second), bytes)
    assert sign(bound, first) == "not-allowed", "never back"


def test_meters_count_for_themselves_and_a_restart_forgets_nothing(agent_folder):
    other = msgspec.structs.replace(METER, device_id=b"e" * 32)
    for number in (1, 2, 3):
        with open_agent(agent_folder, find_unlock(agent_folder)) as agent:
            agent.handle(Bind(CHAIN_ID))
            assert isinstance(sign(agent, next_record(agent)), bytes)
            newest = agent.handle(AskPage(DEVICE))
            assert isinstance(newest, NewestPage)
            assert newest.page == number
            assert agent.handle(AskPage(other.device_id)) == NewestPage(0, NO_HASH)
    with open_agent(agent_folder, find_unlock(agent_folder)) as agent:
        assert isinstance(sign(agent, own(agent, meter=other)), bytes)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"chain_id": b"x" * 32}, "wrong-chain"),
        ({"signer": b"x" * 32}, "wrong-sender"),
    ],
)
def test_a_record_of_another_signer_or_chain_is_refused(bound, changes, reason):
    assert sign(bound, own(bound, **changes)) == reason


def test_bytes_that_are_no_record_are_malformed(bound):
    for payload in (b"", b"\x90", encode(own(bound)) + b"\0"):
        assert bound.handle(SignMeasurement(payload)).reason is RefusedReason.MALFORMED


@pytest.mark.parametrize("curve", list(Curve))
def test_the_agent_writes_ocmf_of_its_own_records(bound, curve):
    marks = (Mark.BEGIN, Mark.TARIFF, Mark.END)
    pages = [
        signed(bound, next_record(bound, mark=mark, value=number))
        for number, mark in enumerate(marks, 1000)
    ]
    answer = bound.handle(SignOcmf(curve, tuple(pages)))
    assert isinstance(answer, OcmfSigned)
    key = bound.handle(AskOcmfKey(curve))
    assert isinstance(key, OcmfKey)
    theirs = OCMF.from_string(answer.text, strict=True)
    assert theirs.verify_signature(key.public_der.hex())
    assert theirs.check_eichrecht(errors_only=True) == []


def test_a_foreign_or_forged_record_is_not_written(bound):
    good = signed(bound, next_record(bound))
    forged = bytes(good[:-1]) + bytes([good[-1] ^ 1])
    strange = sign_page(make_record())
    for raw, reason in (
        (forged, RefusedReason.WRONG_SENDER),
        (strange, RefusedReason.WRONG_SENDER),
        (b"\x90", RefusedReason.MALFORMED),
    ):
        assert bound.handle(SignOcmf(Curve.SECP256R1, (raw,))).reason is reason
    mixed = signed(bound, next_record(bound, quantity="voltage", unit="V"))
    assert bound.handle(SignOcmf(Curve.SECP256R1, (mixed,))).reason is RefusedReason.NOT_ALLOWED


def test_an_agent_that_forgot_is_shown_its_own_page_and_never_goes_back(bound):
    pages = [signed(bound, next_record(bound, value=value)) for value in range(3)]
    later = own(bound, page=9, previous=b"p" * 32)
    assert sign(bound, later) == "not-allowed"
    forged = sign_page(later)
    assert bound.handle(NotePage(forged)).reason is RefusedReason.WRONG_SENDER
    answer = bound.handle(NotePage(pages[0]))
    assert isinstance(answer, NewestPage)
    assert answer.page == 3, "never back"


def test_a_fresh_agent_goes_on_behind_a_page_of_its_key(agent_folder):
    with open_agent(agent_folder, find_unlock(agent_folder)) as agent:
        agent.handle(Bind(CHAIN_ID))
        pages = [signed(agent, next_record(agent, value=value)) for value in range(3)]
    (agent_folder / "metering-pages").unlink()
    with open_agent(agent_folder, find_unlock(agent_folder)) as agent:
        answer = agent.handle(NotePage(pages[2]))
        assert isinstance(answer, NewestPage)
        assert answer.page == 3
        assert find_broken([*pages, signed(agent, next_record(agent, value=9))]) is None


def test_who_does_not_hold_the_identity_measures_nothing(bound):
    page = signed(bound, next_record(bound))
    bound.handle(ReportLease(LeaseStanding.TAKEN, "another instance holds it"))
    assert sign(bound, next_record(bound)) == "identity-not-held"
    assert bound.handle(SignOcmf(Curve.SECP256R1, (page,))).reason is RefusedReason.NOT_HELD


def test_a_damaged_file_signs_nothing(agent_folder):
    (agent_folder / "metering-pages").write_bytes(b"\xff")
    (agent_folder / "metering-pages").chmod(0o600)
    with (
        pytest.raises(AgentError, match="metering-pages is damaged"),
        open_agent(agent_folder, find_unlock(agent_folder)),
    ):
        pass
