"""Addresses as the limits see them."""

import pytest

from gateway.broker.addresses import LOOPBACK, network_of, peer_address


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("127.0.0.1", LOOPBACK),
        ("127.9.9.9", LOOPBACK),
        ("::1", LOOPBACK),
        ("::ffff:127.0.0.1", LOOPBACK),
        ("192.168.1.7", "192.168.1.7"),
        ("::ffff:192.168.1.7", "192.168.1.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("?", "?"),
    ],
)
def test_what_one_peer_can_be_expected_to_hold(address, network):
    assert network_of(address) == network


def test_a_peer_at_our_own_address_is_on_this_machine():
    assert network_of(peer_address("192.168.1.5", "192.168.1.5")) == LOOPBACK
    assert network_of(peer_address("192.168.1.6", "192.168.1.5")) == "192.168.1.6"
