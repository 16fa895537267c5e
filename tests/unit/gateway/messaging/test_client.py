"""What the request client does before any broker is involved."""

import socket

import pytest

from gateway.errors import MessagingError
from gateway.messaging.client import MqttLogin, RpcClient, parse_object

NO_OBJECTS = [
    b"",
    b"[]",
    b'"x"',
    b"{",
    b"\xff",
    b'{"transaction": "\xff"}',
    b'{"\xff": 1}',
    b'{"a": "\\ud800"}',
    b'{"a": 1e999}',
    b"[" * 100_000,
    b'{"a": ' * 100_000,
]


@pytest.mark.parametrize("payload", NO_OBJECTS)
def test_what_is_not_a_json_object_is_none(payload):
    assert parse_object(payload) is None


def test_a_json_object_is_a_dict():
    assert parse_object(b'{"a": {"b": 1}}') == {"a": {"b": 1}}


def test_a_login_does_not_show_its_password():
    login = MqttLogin("127.0.0.1", 1883, "cli", "hunter2", "gw1", "c")

    assert "hunter2" not in repr(login)


def test_no_gateway_is_one_clear_line():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

    with (
        pytest.raises(MessagingError) as raised,
        RpcClient(MqttLogin("127.0.0.1", port, "cli", "pw", "gw1", "c")),
    ):
        pass

    assert f"127.0.0.1:{port}" in str(raised.value)
    assert "smartshare gateway" in str(raised.value)
    assert "\n" not in str(raised.value)
