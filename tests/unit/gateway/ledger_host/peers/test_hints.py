from dataclasses import replace

import pytest

from gateway.discovery.announcement import Found, network_fingerprint, node_fingerprint
from gateway.ledger_host.peers.hints import select_hints
from ledger.network.wire import PeerAddress

CHAIN, NODE, OTHER = b"\xc4" * 32, b"\x01" * 32, b"\x02" * 32
FOUND = Found(
    name="cellar",
    addresses=("192.0.2.7", "192.0.2.8"),
    port=1883,
    node=node_fingerprint(NODE),
    network=network_fingerprint(CHAIN),
    role="agent",
    version="1",
    mqtt_port=1883,
    api_port=0,
    peer_port=8884,
    height=7,
)


def test_an_agent_of_our_chain_is_a_hint():
    assert list(select_hints([FOUND], CHAIN, (NODE, OTHER))) == [
        PeerAddress(NODE, "192.0.2.7", 8884)
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"node": node_fingerprint(b"\x03" * 32)},  # no agent
        {"node": ""},
        {"network": network_fingerprint(b"\xc5" * 32)},
        {"peer_port": 0},
        {"addresses": ()},
    ],
)
def test_anything_else_is_none(changes):
    assert list(select_hints([replace(FOUND, **changes)], CHAIN, (NODE, OTHER))) == []
