"""Which bytes can be an answer to a read request."""

import pytest
from hypothesis import given, strategies as st

from gateway.connectors.modbus.client import find_fault, find_stray


def frame(pdu: bytes, *, transaction: int = 1, unit: int = 1, protocol: int = 0) -> bytes:
    header = transaction.to_bytes(2, "big") + protocol.to_bytes(2, "big")
    return header + (len(pdu) + 1).to_bytes(2, "big") + bytes([unit]) + pdu


ANSWER = frame(bytes([4, 4, 0x12, 0x34, 0x56, 0x78]))
EXCEPTION = frame(bytes([0x84, 2]))


@pytest.mark.parametrize("answer", [ANSWER, EXCEPTION, ANSWER + EXCEPTION, EXCEPTION + ANSWER])
def test_answers_and_all_their_beginnings_are_let_through(answer):
    for length in range(len(answer) + 1):
        assert find_fault(answer[:length]) is None


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "not Modbus TCP"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "not Modbus TCP"),
        (frame(bytes([4, 2, 0, 1]), protocol=1), "not Modbus TCP"),
        (b"\x00\x01\x00\x00\xff\xff\x01\x04", "not Modbus TCP"),
        (frame(bytes([6, 0, 1, 0, 1])), "function 6"),
        (frame(bytes([0x90, 2])), "function 16"),
        (frame(bytes([4, 6, 0, 1])), "contradicts"),
        (frame(bytes([4, 2, 0, 1, 0, 2])), "contradicts"),
        (frame(bytes([4, 3, 0, 1, 0])), "contradicts"),
        (frame(bytes([0x84, 2, 0])), "contradicts"),
        (frame(bytes([0x84])) + b"\x02", "contradicts"),
        (b"\x00\x01\x00\x00\x00\x02\x01\x04", "without registers"),
        (ANSWER + b"garbage, and more of it", "not Modbus TCP"),
    ],
)
def test_anything_else_is_named(data, fault):
    found = find_fault(data)

    assert found is not None
    assert fault in found


@given(st.binary(max_size=600))
def test_no_bytes_upset_it(data):
    find_fault(data)


@pytest.mark.parametrize(
    ("data", "stray"),
    [
        (ANSWER, None),
        (ANSWER[:5], None),
        (b"", None),
        (frame(bytes([0x84, 2]), unit=9), "unit 9 does"),
        (frame(bytes([0x84, 2]), transaction=7), "an answer to another request came"),
        (frame(bytes([0x84, 2]), transaction=7) + ANSWER[:8], "an answer to another request came"),
    ],
)
def test_an_answer_that_is_not_for_the_request_is_described(data, stray):
    assert find_stray(data, ANSWER[:7]) == stray
