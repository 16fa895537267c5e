import os
import socket
import struct

from gateway.smart_agent.server import Peer, is_allowed, parse_peer, peer_of


def test_the_kernel_names_the_peer():
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        assert peer_of(ours) == Peer(os.getpid(), os.getuid())


def test_another_user_is_not_allowed_and_root_and_our_own_are():
    forged = parse_peer(struct.pack("3i", 123, 4242, 1000))

    assert forged == Peer(pid=123, uid=4242)
    assert not is_allowed(forged, own_uid=1000)
    assert is_allowed(forged, own_uid=4242)
    assert is_allowed(Peer(1, uid=0), own_uid=1000)
    assert not is_allowed(Peer(1, uid=1000), own_uid=0)
    assert not is_allowed(Peer(1, uid=-1), own_uid=1000)
