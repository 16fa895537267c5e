"""The machine's IPv4 addresses, one an interface, from the kernel (netdevice(7))."""

import fcntl
import ipaddress
import socket
import struct

_SIOCGIFADDR = 0x8915
_IFREQ = struct.Struct("16s24x")
_ADDRESS_AT = slice(20, 24)  # of struct ifreq: name 16, family 2, port 2, address 4


def find_addresses() -> list[str]:
    """Return the addresses of all interfaces that are up, loopback left out."""
    addresses = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            try:
                reply = fcntl.ioctl(probe, _SIOCGIFADDR, _IFREQ.pack(name.encode()))
            except OSError:
                continue  # an interface without an IPv4 address
            addresses.append(ipaddress.IPv4Address(reply[_ADDRESS_AT]))
    return [str(address) for address in addresses if not address.is_loopback]


def is_own_address(address: str) -> bool:
    """Tell whether an IPv4 address in text belongs to this machine, by binding to it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True
