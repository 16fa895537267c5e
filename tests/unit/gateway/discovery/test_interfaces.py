import ipaddress

from gateway.discovery.interfaces import find_addresses, is_own_address


def test_addresses_are_this_machines_and_never_loopback():
    for address in find_addresses():
        assert not ipaddress.IPv4Address(address).is_loopback
        assert is_own_address(address)


def test_only_addresses_of_this_machine_are_its_own():
    assert is_own_address("127.0.0.1")
    assert not is_own_address("203.0.113.9")
    assert not is_own_address("999.1.1.1")
