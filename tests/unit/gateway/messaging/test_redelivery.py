"""What came before is told from what is new, over reconnects and kills; nothing new is ever dropped."""

import random

from gateway.messaging.redelivery import Arrival, DeliveryBook, Verdict, compute_digest

A, B = compute_digest("t", b"a"), compute_digest("t", b"b")


def test_the_digest_tells_topic_from_payload():
    assert compute_digest("ab", b"c") != compute_digest("a", b"bc")


def test_a_repeat_of_what_is_on_disk_is_only_acknowledged():
    book = DeliveryBook({1: A})
    book.connected(is_resumed=True)

    verdict, arrival = book.arrive(1, A, is_dup=True)
    assert verdict is Verdict.ACKNOWLEDGE
    assert book.committed(arrival)


def test_a_repeat_of_what_is_on_its_way_waits_and_is_acknowledged_once_it_is_there():
    book = DeliveryBook({})
    book.connected(is_resumed=True)
    _, first = book.arrive(1, A, is_dup=False)
    book.connected(is_resumed=True)
    verdict, again = book.arrive(1, A, is_dup=True)

    assert verdict is Verdict.WAIT
    assert again is first
    assert book.committed(first)


def test_a_repeat_that_never_got_to_disk_is_stored():
    book = DeliveryBook({})
    book.connected(is_resumed=True)
    assert book.arrive(1, A, is_dup=True)[0] is Verdict.STORE


def test_without_dup_or_with_other_content_a_packet_id_begins_anew():
    book = DeliveryBook({1: A, 2: A})
    book.connected(is_resumed=True)

    assert book.arrive(1, B, is_dup=True)[0] is Verdict.STORE
    assert book.arrive(2, A, is_dup=False)[0] is Verdict.STORE


def test_the_first_new_message_ends_the_repeats():
    book = DeliveryBook({1: A})
    book.connected(is_resumed=True)
    book.arrive(2, B, is_dup=False)

    assert book.arrive(1, A, is_dup=True)[0] is Verdict.STORE


def test_a_new_session_knows_no_old_packet_id():
    book = DeliveryBook({1: A})
    _, waiting = book.arrive(2, B, is_dup=True)
    book.connected(is_resumed=False)

    assert set(book.take_forgettable()) == {1, 2}
    assert not book.committed(waiting), "its PUBACK would be for another message"
    assert book.arrive(1, A, is_dup=True)[0] is Verdict.STORE


def test_what_is_known_to_be_acknowledged_is_forgotten():
    book = DeliveryBook({})
    book.connected(is_resumed=True)
    _, first = book.arrive(1, A, is_dup=False)
    book.committed(first)
    book.acknowledged(first)
    known = book.take_acknowledged()
    _, second = book.arrive(1, B, is_dup=False)
    book.confirmed(known)
    assert book.take_forgettable() == [], "the packet id is another message's by now"
    book.committed(second)
    book.acknowledged(second)
    book.confirmed(book.take_acknowledged())
    assert book.take_forgettable() == [1]


def test_what_another_connection_acknowledged_proves_nothing():
    book = DeliveryBook({})
    book.connected(is_resumed=True)
    _, arrival = book.arrive(1, A, is_dup=False)
    book.committed(arrival)
    book.acknowledged(arrival)
    book.connected(is_resumed=True)

    assert book.take_acknowledged() == []
    assert book.arrive(1, A, is_dup=True)[0] is Verdict.ACKNOWLEDGE


def test_what_was_not_stored_after_all_is_new_when_it_comes_again():
    book = DeliveryBook({})
    book.connected(is_resumed=True)
    _, arrival = book.arrive(1, A, is_dup=False)
    book.given_up(arrival)
    book.connected(is_resumed=True)

    assert book.arrive(1, A, is_dup=True)[0] is Verdict.STORE


class Trial:
    """A broker that keeps what it has no PUBACK for and repeats it in order, and us, often killed."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.packet_id = 0
        self.unacknowledged: dict[int, tuple[int, bytes]] = {}  # packet id -> message, digest
        self.sent = 0
        self.disk: dict[int, bytes] = {}
        self.stored: list[int] = []
        self.waiting: list[tuple[Arrival, int]] = []  # for their commit
        self.is_broken = False
        self.book = DeliveryBook({})
        self.book.connected(is_resumed=True)

    def happens(self, share: float) -> bool:
        return self.chance.random() < share

    def step(self, messages: int) -> None:
        if self.is_broken or self.happens(0.05):
            self.reconnect()
        elif self.sent < messages and len(self.unacknowledged) < 5 and self.happens(0.5):
            self.send()
        elif self.waiting:
            self.commit(*self.waiting.pop(0))
        if not self.is_broken and self.happens(0.3):
            self.book.confirmed(self.book.take_acknowledged())

    def send(self) -> None:
        self.packet_id = self.packet_id % 9 + 1
        while self.packet_id in self.unacknowledged:
            self.packet_id = self.packet_id % 9 + 1
        digest = compute_digest("t", str(self.sent).encode())
        self.unacknowledged[self.packet_id] = (self.sent, digest)
        self.sent += 1
        if self.happens(0.1):
            self.is_broken = True  # lost on its way to us
        else:
            self.arrive(self.packet_id, digest, is_dup=False)

    def arrive(self, packet_id: int, digest: bytes, *, is_dup: bool) -> None:
        verdict, arrival = self.book.arrive(packet_id, digest, is_dup=is_dup)
        if verdict is Verdict.STORE:
            self.waiting.append((arrival, self.unacknowledged[packet_id][0]))
        elif verdict is Verdict.ACKNOWLEDGE:
            self.acknowledge(arrival)

    def acknowledge(self, arrival: Arrival) -> None:
        self.book.acknowledged(arrival)
        if self.happens(0.8):
            self.unacknowledged.pop(arrival.packet_id, None)
        else:
            self.is_broken = True  # lost on its way to the broker

    def commit(self, arrival: Arrival, message: int) -> None:
        for one in self.book.take_forgettable():
            self.disk.pop(one, None)
        self.disk[arrival.packet_id] = arrival.digest
        self.stored.append(message)
        if self.book.committed(arrival) and self.happens(0.9):
            self.acknowledge(arrival)
        else:
            self.is_broken = True

    def reconnect(self) -> None:
        self.is_broken = False
        if self.happens(0.5):  # we were killed
            self.book, self.waiting = DeliveryBook(self.disk), []
        self.book.connected(is_resumed=True)
        for packet_id, (_, digest) in list(self.unacknowledged.items()):
            if not self.is_broken:
                self.arrive(packet_id, digest, is_dup=True)


def test_over_many_broken_connections_and_kills_everything_is_stored_exactly_once():
    for seed in range(300):
        trial = Trial(seed)
        while trial.sent < 200 or trial.unacknowledged:
            trial.step(200)
        assert sorted(trial.stored) == list(range(200)), seed
