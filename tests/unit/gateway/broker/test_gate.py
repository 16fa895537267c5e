"""Connection slots: given at once or not at all, and always given back."""

from dataclasses import replace
from typing import Any

from gateway.broker.gate import ConnectionGate
from gateway.broker.settings import BrokerSettings


def gate(**limits: Any) -> ConnectionGate:
    return ConnectionGate(replace(BrokerSettings("gw1", connections_loopback_reserved=0), **limits))


def entered(gate: ConnectionGate, *addresses: str) -> list[bool]:
    return [gate.enter(address, 0) is not None for address in addresses]


def test_one_address_cannot_take_all_the_slots():
    slots = gate(connections_max=3, connections_per_address_max=2)

    assert entered(slots, "10.0.0.1", "10.0.0.1", "10.0.0.1") == [True, True, False]
    assert entered(slots, "10.0.0.2", "10.0.0.3") == [True, False]
    assert (slots.connections, slots.refused) == (3, 2)


def test_a_slot_that_is_left_is_free_again():
    slots = gate(connections_max=1)
    for _ in range(5):
        place = slots.enter("10.0.0.1", 0)
        assert place is not None
        place.leave()

    assert slots.connections == 0
    assert not slots.by_network
    assert not slots.unauthenticated


def test_an_ipv6_peer_has_one_share_for_all_the_addresses_of_its_64_bit_network():
    slots = gate(connections_per_address_max=2)

    assert entered(slots, "2001:db8::1", "2001:db8::2", "2001:db8::3") == [True, True, False]
    assert entered(slots, "2001:db8:0:1::1") == [True]


def test_some_places_are_for_this_machine_only():
    slots = gate(connections_max=4, connections_loopback_reserved=2)

    assert entered(slots, "10.0.0.1", "10.0.0.2", "10.0.0.3") == [True, True, False]
    assert entered(slots, "127.0.0.1", "::1", "127.0.0.1") == [True, True, False]


def test_who_has_not_proved_who_it_is_has_fewer_places():
    slots = gate(unauthenticated_max=3, unauthenticated_per_address_max=2)
    first = slots.enter("10.0.0.1", 0)
    assert first is not None

    assert entered(slots, "10.0.0.1", "10.0.0.1") == [True, False]
    assert entered(slots, "10.0.0.2", "10.0.0.2") == [True, False]
    first.authenticated()
    assert entered(slots, "10.0.0.1") == [True]
    first.leave()
    assert entered(slots, "10.0.0.3") == [False]


def test_strangers_do_not_take_the_unauthenticated_places_of_this_machine():
    slots = gate(
        unauthenticated_max=2, unauthenticated_per_address_max=1, connections_loopback_reserved=2
    )

    assert entered(slots, "10.0.0.1", "10.0.0.2", "10.0.0.3") == [True, True, False]
    assert entered(slots, "127.0.0.1", "127.0.0.1", "127.0.0.1") == [True, True, False]


def test_one_network_connects_only_so_often_and_this_machine_as_it_likes():
    slots = gate(connects_per_s_per_address=1, connects_burst_per_address=2)
    second_ns = 1_000_000_000

    assert entered(slots, "10.0.0.1", "10.0.0.1", "10.0.0.1", "10.0.0.2") == [
        *(True, True, False, True)
    ]
    assert slots.enter("10.0.0.1", second_ns) is not None
    assert slots.enter("10.0.0.1", second_ns) is None
    assert all(entered(slots, *["127.0.0.1"] * 20))
