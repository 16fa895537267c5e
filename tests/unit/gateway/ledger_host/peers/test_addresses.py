import pytest

from gateway.errors import SettingsError
from gateway.ledger_host.peers.addresses import format_peer, parse_peer
from ledger.codec.text import format_address
from ledger.network.wire import PeerAddress

NODE = bytes(range(1, 33))
TEXT = format_address(NODE)


@pytest.mark.parametrize("host", ["192.168.1.20", "gateway.local", "fe80::1"])
def test_a_peer_is_written_as_it_is_read(host):
    peer = PeerAddress(NODE, host, 8884)

    assert parse_peer(format_peer(peer)) == peer


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is no peer"),
        ("192.168.1.20:8884", "is no peer"),
        (f"{TEXT}@192.168.1.20", "is not HOST:PORT"),
        (f"{TEXT}@192.168.1.20:0", "is not HOST:PORT"),
        (f"{TEXT[:-1]}q@192.168.1.20:8884", "ledger.peers"),
        ("x" * 4000, "is no peer"),
    ],
)
def test_what_is_no_peer_gets_one_line(text, problem):
    with pytest.raises(SettingsError) as caught:
        parse_peer(text)

    line = str(caught.value)
    assert problem in line
    assert "ssp1...@192.168.1.20:8884" in line
    assert "\n" not in line
    assert len(line) < 600
