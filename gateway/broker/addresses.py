"""Peers' addresses as the limits see them. Pure."""

import ipaddress

LOOPBACK = "loopback"  # one network: whoever has one of its addresses has them all
_THIS_MACHINE = "127.0.0.1"
_IPV6_PREFIX = 64  # what one host or home is given: it can use any address in there


def peer_address(peer: str, own: str) -> str:
    """Return the address of a peer; one at our own address is on this machine: loopback."""
    return _THIS_MACHINE if peer == own else peer


def network_of(address: str) -> str:
    """Return what one peer can be expected to hold: `LOOPBACK`, an IPv4 address or an IPv6 /64."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is None:
            if parsed.is_loopback:
                return LOOPBACK
            return str(ipaddress.IPv6Network((int(parsed), _IPV6_PREFIX), strict=False))
        parsed = parsed.ipv4_mapped
    return LOOPBACK if parsed.is_loopback else str(parsed)
