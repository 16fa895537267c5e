from ledger.network.address_book import (
    FAILURES_MAX,
    LEARNED_MAX,
    NEIGHBOURS,
    PATIENCE_MS,
    AddressBook,
)
from ledger.network.wire import PeerAddress

US, LOW, HIGH = b"\x50" * 32, b"\x10" * 32, b"\x90" * 32


def _at(node: bytes, port: int = 8884) -> PeerAddress:
    return PeerAddress(node, "10.0.0.1", port)


def _number(number: int) -> bytes:
    return b"\x60" + number.to_bytes(31, "big")


def test_configured_peers_are_dialled_at_once():
    book = AddressBook(US)
    book.configure([_at(LOW), _at(HIGH)], 0)

    assert set(book.to_dial((), (), 0)) == {_at(LOW), _at(HIGH)}
    assert book.to_dial((HIGH,), (), 0) == (_at(LOW),)


def test_after_a_loss_the_lower_id_dials_and_the_higher_one_gives_it_time():
    book = AddressBook(US)
    book.configure([_at(LOW), _at(HIGH)], 0)
    book.note_lost(LOW, 1_000)
    book.note_lost(HIGH, 1_000)

    assert book.to_dial((), (), 1_000) == (_at(HIGH),)
    assert book.to_dial((HIGH,), (), 1_000 + PATIENCE_MS) == (_at(LOW),)


def test_our_own_address_is_no_peer():
    book = AddressBook(US)
    book.configure([_at(US)], 0)
    book.learn(_at(US), 0)

    assert book.to_dial((), (), 60_000) == ()


def test_failures_make_the_next_attempt_later():
    book = AddressBook(US)
    book.configure([_at(HIGH)], 0)
    waits = []
    now_ms = 0
    for _ in range(8):
        book.note_failure(HIGH, now_ms)
        wait_ms = next(ms for ms in range(0, 61_000, 500) if book.to_dial((), (), now_ms + ms))
        waits.append(wait_ms)
        now_ms += wait_ms

    assert waits == [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]


def test_a_learned_address_that_never_answers_is_forgotten_and_a_configured_one_never():
    book = AddressBook(US)
    book.configure([_at(HIGH)], 0)
    book.learn(_at(_number(1)), 0)
    for _ in range(FAILURES_MAX):
        book.note_failure(HIGH, 0)
        book.note_failure(_number(1), 0)

    assert book.to_dial((), (), 10_000_000) == (_at(HIGH),)


def test_a_hint_replaces_neither_what_the_operator_said_nor_what_works():
    book = AddressBook(US)
    book.configure([_at(HIGH)], 0)
    book.learn(_at(HIGH, 1), 0)
    book.learn(_at(_number(1), 2), 0)
    book.learn(_at(_number(1), 3), 0)

    assert book.address_of(HIGH) == ("10.0.0.1", 8884)
    assert book.address_of(_number(1)) == ("10.0.0.1", 2)

    book.note_failure(_number(1), 0)
    book.learn(_at(_number(1), 3), 0)
    assert book.address_of(_number(1)) == ("10.0.0.1", 3)


def test_learned_addresses_are_bounded():
    book = AddressBook(US)
    for number in range(LEARNED_MAX + 10):
        book.learn(_at(_number(number)), 0)

    assert book.address_of(_number(LEARNED_MAX - 1)) is not None
    assert book.address_of(_number(LEARNED_MAX)) is None


def test_a_large_network_is_no_full_mesh_and_agents_come_first():
    book = AddressBook(US)
    agents = [_number(number) for number in range(90, 99)]
    for number in range(99):
        book.learn(_at(_number(number)), 0)

    dialled = [peer.node for peer in book.to_dial((), agents, 0)]
    assert len(dialled) == NEIGHBOURS
    assert dialled[: len(agents)] == agents
    assert len(book.to_dial(dialled[:10], agents, 0)) == NEIGHBOURS - 10


def test_only_addresses_that_work_are_shared():
    book = AddressBook(US)
    book.learn(_at(HIGH), 0)
    book.learn(_at(LOW), 0)
    book.note_failure(LOW, 0)

    assert book.share((HIGH, LOW)) == (_at(HIGH),)
    assert book.share(()) == ()
