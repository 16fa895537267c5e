"""A connection's events on the event loop, in order, whatever a broker sends before it confirms the subscription."""

import pytest

from gateway.errors import MessagingError
from gateway.ledger_host.peers.initiator import Mailbox


async def test_messages_before_the_opening_come_after_it():
    mailbox = Mailbox()
    mailbox.on_message("a", b"1")
    mailbox.on_message("b", b"")
    mailbox.on_open(b"channel")
    mailbox.on_message("c", b"3")
    assert await mailbox.wait_open() == b"channel"
    assert [await mailbox.next() for _ in range(3)] == [("a", b"1"), ("b", b""), ("c", b"3")]


async def test_the_end_is_told_after_what_came_before():
    mailbox = Mailbox()
    mailbox.on_open(None)
    mailbox.on_message("a", b"1")
    mailbox.on_closed("gone")
    assert await mailbox.wait_open() is None
    assert await mailbox.next_message() == b"1"
    with pytest.raises(MessagingError, match="gone"):
        await mailbox.next()
