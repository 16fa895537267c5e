import random

import msgspec
import pytest

from gateway.smart_agent.keys import AgentKeys, Purpose
from gateway.smart_agent.messages import (
    FRAME_BYTES_MAX,
    HEADER_BYTES,
    SIGN_MANY_MAX,
    AskAuditHead,
    AuditHead,
    Bind,
    Describe,
    Noted,
    OnionCommitment,
    OnionReveal,
    OnionValue,
    Refused,
    RefusedReason,
    ReportOwnVote,
    ReportTip,
    Request,
    Response,
    Signed,
    SignedMany,
    SignMany,
    SignQuote,
    SignReadingBatch,
    SignTransaction,
    SignVote,
    SignVoucher,
    decode_frame_length,
    decode_request,
    decode_response,
    encode_frame,
    one_line,
)
from ledger.crypto.domains import VoteKind
from ledger.params import TRANSACTION_BYTES_MAX

REQUESTS: list[Request] = [
    Describe(),
    Bind(b"c" * 32),
    SignTransaction(Purpose.METERING, b"payload"),
    SignTransaction(Purpose.WALLET, bytes(TRANSACTION_BYTES_MAX)),
    SignVote(VoteKind.FINALIZE, 0, 7, b"h" * 32),
    SignReadingBatch(b"batch"),
    SignQuote(b"quote"),
    SignVoucher(b"voucher"),
    SignMany((SignTransaction(Purpose.METERING, b"one"), SignReadingBatch(b"two"))),
    ReportTip(is_at_tip=True, agents=99),
    ReportOwnVote(VoteKind.NOTARIZE, 1, 7, b"h" * 32, b"s" * 64),
    AskAuditHead(),
    OnionCommitment(1),
    OnionReveal(b"h" * 32),
]
RESPONSES: list[Response] = [
    AgentKeys(b"n" * 32, b"c" * 32, b"m" * 32, b"w" * 32, None),
    AgentKeys(b"n" * 32, b"c" * 32, b"m" * 32, b"w" * 32, b"i" * 32),
    Signed(b"s" * 64),
    SignedMany((b"s" * 64,) * SIGN_MANY_MAX),
    Noted("voting"),
    AuditHead(7, b"h" * 32),
    OnionValue(b"h" * 32),
    Refused(RefusedReason.SIGN_GUARD, "detail"),
]


@pytest.mark.parametrize(
    "message", [*REQUESTS, *RESPONSES], ids=lambda message: type(message).__name__
)
def test_a_message_comes_back_out_of_its_frame(message):
    frame = encode_frame(message)

    assert decode_frame_length(frame[:HEADER_BYTES]) == len(frame) - HEADER_BYTES
    decode = decode_request if message in REQUESTS else decode_response
    assert decode(frame[HEADER_BYTES:]) == message


def test_a_length_over_the_limit_is_refused():
    assert decode_frame_length(FRAME_BYTES_MAX.to_bytes(4, "big")) == FRAME_BYTES_MAX
    assert decode_frame_length((FRAME_BYTES_MAX + 1).to_bytes(4, "big")) is None
    assert decode_frame_length(b"\xff\xff\xff\xff") is None


@pytest.mark.parametrize(
    "body",
    [
        ["sign", b"any bytes"],
        ["vote", 1, 0, 1],
        ["vote", 4, 0, 1, b"h" * 32],
        ["vote", 1, -1, 1, b"h" * 32],
        ["vote", 1, 2**32, 1, b"h" * 32],
        ["vote", 1, 0, 2**63, b"h" * 32],
        ["vote", 1, 0, 1, b"h" * 31],
        ["vote", 1, 0, 1, b"h" * 32, b"more"],
        ["transaction", "root", b""],
        ["transaction", "wallet", bytes(TRANSACTION_BYTES_MAX + 1)],
        ["bind", b"short"],
        ["signed", b"s" * 64],
        [],
        {},
        None,
    ],
)
def test_what_is_no_request_is_refused(body):
    answer = decode_request(msgspec.msgpack.encode(body))

    assert isinstance(answer, Refused)
    assert answer.reason is RefusedReason.MALFORMED


def test_mutated_requests_are_a_request_or_a_refusal_never_an_exception():
    chance = random.Random(7)
    bodies = [encode_frame(request)[HEADER_BYTES:][:300] for request in REQUESTS]
    refused = 0
    for _ in range(20_000):
        body = bytearray(chance.choice(bodies))
        for _ in range(chance.randint(1, 4)):
            body[chance.randrange(len(body))] = chance.randrange(256)
        cut = chance.randrange(len(body) + 1) if chance.random() < 0.2 else len(body)
        refused += isinstance(decode_request(bytes(body[:cut])), Refused)
    assert 5_000 < refused < 20_000


def test_deep_nesting_is_refused():
    assert isinstance(decode_request(b"\x91" * 200_000), Refused)
    assert decode_response(b"\x91" * 200_000) is None


def test_one_line_is_one_short_printable_line():
    assert one_line("fine: ü") == "fine: ü"
    assert one_line("a\nb\x1b[31mc") == "a?b?[31mc"
    assert len(one_line("x" * 10_000)) < 300
