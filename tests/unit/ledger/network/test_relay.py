from ledger.network.relay import MESSAGE_BYTES_MAX, QUEUE_MAX, REPEAT_MS, TransactionRelay, pack
from ledger.network.wire import PEER_MESSAGE_BYTES_MAX, encode_message


def test_what_is_added_goes_out_once_and_in_order():
    relay = TransactionRelay()
    for number in range(300):
        relay.add(bytes([number % 256]) * 10)

    sent = [raw for message in relay.flush() for raw in message.raw]
    assert sent == [bytes([number % 256]) * 10 for number in range(300)]
    assert relay.flush() == ()


def test_a_message_fits_a_packet():
    messages = list(pack([bytes(100_000)] * 7))

    assert [len(message.raw) for message in messages] == [2, 2, 2, 1]
    assert all(
        len(encode_message(m)) < min(PEER_MESSAGE_BYTES_MAX, MESSAGE_BYTES_MAX * 2)
        for m in messages
    )


def test_the_queue_is_bounded():
    relay = TransactionRelay()
    for _ in range(QUEUE_MAX + 10):
        relay.add(b"x")

    assert sum(len(message.raw) for message in relay.flush()) == QUEUE_MAX


def test_what_waits_is_repeated_now_and_then():
    relay = TransactionRelay()

    assert [relay.is_repeat_due(ms) for ms in (0, 1, REPEAT_MS - 1, REPEAT_MS)] == [
        True,
        False,
        False,
        True,
    ]
