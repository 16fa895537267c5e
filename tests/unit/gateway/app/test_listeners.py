"""Which addresses a broker listens on, and by which names its certificate is valid."""

import socket
import ssl

import pytest

from gateway.app.listeners import build_endpoints, needs_certificates, own_names
from gateway.settings import BrokerSection

CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)


def test_only_the_plain_listener_is_there_unless_others_are_asked_for():
    (plain,) = build_endpoints(BrokerSection(), None)
    assert (plain.scheme, plain.bind) == ("mqtt", "127.0.0.1:1883")
    assert not needs_certificates(BrokerSection())


def test_each_listener_has_its_address_and_only_web_ones_have_origins():
    section = BrokerSection(
        listen="127.0.0.1:1",
        tls="[::]:2",
        websocket="127.0.0.1:3",
        websocket_tls="0.0.0.0:4",
        origins=("https://app.example",),
    )
    endpoints = build_endpoints(section, CONTEXT)

    assert [one.address(one.port) for one in endpoints] == [
        "mqtt://127.0.0.1:1",
        "mqtts://[::]:2",
        "ws://127.0.0.1:3",
        "wss://0.0.0.0:4",
    ]
    assert [bool(one.origins) for one in endpoints] == [False, False, True, True]
    assert needs_certificates(section)


@pytest.mark.parametrize(("host", "is_named"), [("house", True), ("küche", False), ("", False)])
def test_a_host_name_that_fits_no_certificate_is_left_out(monkeypatch, host, is_named):
    monkeypatch.setattr(socket, "gethostname", lambda: host)
    names = own_names(("mqtt.example",))
    assert {"localhost", "127.0.0.1", "::1", "mqtt.example"} <= names
    assert (f"{host}.local" in names) is is_named
    assert all(name.isascii() and name for name in names)
