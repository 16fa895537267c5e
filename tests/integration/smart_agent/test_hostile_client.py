"""A local process of the right user that sends whatever it likes."""

import socket

import pytest

from gateway.smart_agent.messages import (
    FRAME_BYTES_MAX,
    HEADER_BYTES,
    Bind,
    Describe,
    Refused,
    decode_response,
    encode_frame,
)
from gateway.smart_agent.server import CONNECTIONS_MAX

pytestmark = pytest.mark.integration


def connect(agent):
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(agent.socket_path))
    connection.settimeout(10)
    return connection


def read_to_end(connection):
    """Everything until the agent closes; a reset is a close."""
    received = b""
    try:
        while chunk := connection.recv(65_536):
            received += chunk
    except ConnectionResetError:
        pass
    return received


def framed(body):
    return len(body).to_bytes(HEADER_BYTES, "big") + body


@pytest.mark.parametrize(
    "frame",
    [
        b"\xff\xff\xff\xff",
        (FRAME_BYTES_MAX + 1).to_bytes(4, "big"),
        framed(b""),
        framed(b"GET / HTTP/1.1\r\n\r\n"),
        framed(b"\x92\xa4sign\xc4\x05bytes"),
        framed(b"\x91" * FRAME_BYTES_MAX),
    ],
    ids=["4-GiB", "over-limit", "empty", "http", "raw-bytes", "deep"],
)
def test_a_frame_that_is_no_request_gets_one_refusal_and_a_closed_connection(agent, frame):
    with connect(agent) as connection:
        connection.sendall(frame)
        answer = decode_response(read_to_end(connection)[HEADER_BYTES:])

    assert isinstance(answer, Refused)
    assert agent.client.describe().node


def test_a_frame_in_single_bytes_is_a_frame(agent):
    with connect(agent) as connection:
        for byte in encode_frame(Describe()):
            connection.sendall(bytes([byte]))
        assert connection.recv(1)


def test_leaving_in_the_middle_of_a_frame_harms_nobody(agent):
    frame = encode_frame(Bind(b"i" * 32))
    for count in range(len(frame)):
        with connect(agent) as connection:
            connection.sendall(frame[:count])

    assert agent.client.describe().chain_id is None


def test_leaving_without_reading_the_answers_harms_nobody(agent):
    for _ in range(50):
        with connect(agent) as connection:
            connection.sendall(encode_frame(Describe()) * 100)

    assert agent.client.describe().node


def test_a_connection_over_the_cap_is_served_when_a_place_is_free(agent):
    held = []
    for _ in range(CONNECTIONS_MAX):
        connection = connect(agent)
        connection.sendall(encode_frame(Describe()))
        assert connection.recv(1)
        held.append(connection)

    with connect(agent) as one_more:
        one_more.sendall(encode_frame(Describe()))
        one_more.settimeout(0.2)
        with pytest.raises(TimeoutError):
            one_more.recv(1)

        held.pop().close()
        one_more.settimeout(10)
        assert one_more.recv(1)

    for connection in held:
        connection.close()
    assert agent.client.describe().node
