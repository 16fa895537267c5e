"""TLS listeners of a running broker: real clients, and peers that do not keep to the rules."""

import json
import socket
import ssl
from pathlib import Path

import pytest

from gateway.broker.certificates import CertificateFolder
from gateway.broker.endpoints import Endpoint
from gateway.broker.tls import server_context
from gateway.clock import SystemClock
from tests.support.broker_process import WAIT_S, BrokerProcess, StartBroker, Subscriber, smartshare

pytestmark = pytest.mark.integration


def add_user(home: Path, name: str) -> tuple[str, str]:
    result = smartshare("broker", "user", "add", name, "--home", home, "--json")
    return name, json.loads(result.stdout)["password"]


def trusting(home: Path, certificate: Path | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(home / "secrets/tls/authority.pem"))
    if certificate is not None:
        context.load_cert_chain(certificate)
    return context


def start_tls(start_process: StartBroker, home: Path, *arguments: str) -> BrokerProcess:
    tls = ("--tls", "127.0.0.1:0", "--wss", "127.0.0.1:0")
    return start_process("--home", str(home), *tls, *arguments)


def test_clients_of_all_listeners_meet(start_process: StartBroker, tmp_path: Path):
    login = add_user(tmp_path, "ann")
    broker = start_tls(start_process, tmp_path)
    with (
        Subscriber(broker.ports["mqtt"], login=login) as plain,
        Subscriber(broker.ports["mqtts"], login=login, tls=trusting(tmp_path)) as tls,
        Subscriber(broker.ports["wss"], "websockets", login, trusting(tmp_path)) as web,
    ):
        payload = bytes(range(256)) * 800
        web.client.publish("t", payload, qos=1)
        for one in (plain, tls, web):
            assert one.messages.get(timeout=WAIT_S) == ("t", payload)
    assert broker.stop() == (0, "")


def test_a_required_certificate_must_be_there_and_be_the_users_own(
    start_process: StartBroker, tmp_path: Path
):
    ann, bob = add_user(tmp_path, "ann"), add_user(tmp_path, "bob")
    broker = start_tls(start_process, tmp_path, "--client-certificates")
    own = tmp_path / "ann.pem"
    issued = smartshare("broker", "user", "certificate", "ann", "-o", own, "--home", tmp_path)
    assert issued.returncode == 0, issued.stderr

    with Subscriber(broker.ports["mqtts"], login=ann, tls=trusting(tmp_path, own)) as with_own:
        assert with_own.answer == "Success"
    with Subscriber(broker.ports["mqtts"], login=bob, tls=trusting(tmp_path, own)) as as_bob:
        assert as_bob.answer == "Not authorized"
    with Subscriber(broker.ports["mqtts"], login=ann, tls=trusting(tmp_path)) as without:
        assert without.answer == "disconnected"


@pytest.fixture
def endpoint(tmp_path: Path) -> Endpoint:
    folder = CertificateFolder(tmp_path / "tls")
    folder.ensure("gw1", {"127.0.0.1"}, SystemClock().now_ms())
    return Endpoint("127.0.0.1", 0, tls=server_context(folder.server, None))


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=WAIT_S)


def test_peers_that_never_finish_the_handshake_count_and_are_cut_off(start_broker, endpoint):
    broker = start_broker(
        more_endpoints=(endpoint,),
        unauthenticated_max=2,
        connections_loopback_reserved=0,
        connect_timeout_s=1.0,
    )
    port = broker.broker.ports[1]
    with connect(port) as first, connect(port) as second, connect(port) as surplus:
        assert surplus.recv(1) == b""
        first.sendall(b"\x16\x03\x01")
        assert first.recv(1) == second.recv(1) == b""
    assert broker.broker.counters.refused_connections == 1


@pytest.mark.parametrize(
    "garbage", [b"\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x04abcd", b"\x16" * 99]
)
def test_what_is_no_tls_is_answered_with_an_alert_at_most(start_broker, endpoint, garbage, caplog):
    broker = start_broker(more_endpoints=(endpoint,))
    with connect(broker.broker.ports[1]) as peer:
        peer.sendall(garbage)
        answer = b"".join(iter(lambda: peer.recv(100), b""))
    assert answer[:1] in (b"", b"\x15")
    assert caplog.records == []


def test_a_peer_may_end_in_the_middle_of_anything(start_broker, endpoint, tmp_path):
    broker = start_broker(more_endpoints=(endpoint,))
    context = ssl.create_default_context(cafile=str(tmp_path / "tls/authority.pem"))

    def shake_hands() -> ssl.SSLSocket:
        return context.wrap_socket(connect(broker.broker.ports[1]), server_hostname="127.0.0.1")

    with shake_hands() as peer:
        peer.sendall(b"\x10\x10\x00\x04MQ")
        peer.unwrap().close()
    with shake_hands() as peer:
        peer.sendall(b"\x10")
    shake_hands().close()  # others are served as before
