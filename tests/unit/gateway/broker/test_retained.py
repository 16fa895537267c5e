"""Retained messages: replacement, removal, and every limit."""

from dataclasses import replace

from gateway.broker.message import Message
from gateway.broker.retained import RetainedStore
from gateway.broker.settings import BrokerSettings

LIMITS = BrokerSettings("gw1")
NOW_MS = 1_000


def message(topic: str, payload: bytes = b"x") -> Message:
    return Message(topic, payload, 1, is_retained=True)


def test_the_last_message_of_a_topic_is_kept():
    store = RetainedStore(LIMITS)

    assert store.put(message("a", b"1"), "dev", NOW_MS)
    assert store.put(message("a", b"2"), "dev", NOW_MS)

    assert [m.payload for m in store.matching("a", NOW_MS)] == [b"2"]
    assert len(store) == 1


def test_an_empty_payload_removes_and_gives_the_room_back():
    limits = replace(LIMITS, retained_max=1)
    store = RetainedStore(limits)
    store.put(message("a"), "dev", NOW_MS)

    assert not store.put(message("b"), "dev", NOW_MS)
    assert store.put(message("a", b""), "dev", NOW_MS)
    assert list(store.matching("#", NOW_MS)) == []
    assert store.put(message("b"), "dev", NOW_MS)


def test_wildcards_match_many_and_not_dollar_topics():
    store = RetainedStore(LIMITS)
    for topic in ("a/1", "a/2", "b/1", "$x/1"):
        store.put(message(topic), None, NOW_MS)

    assert {m.topic for m in store.matching("+/1", NOW_MS)} == {"a/1", "b/1"}
    assert {m.topic for m in store.matching("a/#", NOW_MS)} == {"a/1", "a/2"}


def test_one_principal_has_a_share_and_the_gateway_has_none():
    store = RetainedStore(replace(LIMITS, retained_per_principal_max=2))

    assert store.put(message("a"), "dev", NOW_MS)
    assert store.put(message("b"), "dev", NOW_MS)
    assert not store.put(message("c"), "dev", NOW_MS)
    assert store.put(message("b", b"new"), "dev", NOW_MS)
    assert store.put(message("c"), "other", NOW_MS)
    assert all(store.put(message(f"own/{n}"), None, NOW_MS) for n in range(5))


def test_taking_over_a_topic_counts_for_the_new_owner():
    store = RetainedStore(replace(LIMITS, retained_per_principal_max=1))
    store.put(message("a"), "first", NOW_MS)
    store.put(message("b"), "second", NOW_MS)

    assert not store.put(message("a"), "second", NOW_MS)
    store.put(message("b", b""), "first", NOW_MS)
    assert store.put(message("a"), "second", NOW_MS)
    assert store.put(message("c"), "first", NOW_MS)


def test_bytes_are_bounded_in_all_and_a_replacement_counts_once():
    store = RetainedStore(replace(LIMITS, retained_bytes_max=100))

    assert store.put(message("a", bytes(90)), "first", NOW_MS)
    assert not store.put(message("b", bytes(20)), "second", NOW_MS)
    assert store.put(message("a", bytes(95)), "first", NOW_MS)
    assert store.put(message("a", bytes(10)), "first", NOW_MS)
    assert store.put(message("b", bytes(20)), "second", NOW_MS)


def test_one_principal_has_a_share_of_the_bytes():
    store = RetainedStore(replace(LIMITS, retained_bytes_per_principal_max=100))

    assert store.put(message("a", bytes(90)), "dev", NOW_MS)
    assert not store.put(message("b", bytes(20)), "dev", NOW_MS)
    assert store.put(message("b", bytes(20)), "other", NOW_MS)
    assert store.put(message("a", bytes(10)), "dev", NOW_MS)
    assert store.put(message("c", bytes(80)), "dev", NOW_MS)


def test_devices_that_take_all_they_may_leave_room_for_the_gateway():
    store = RetainedStore(replace(LIMITS, retained_bytes_max=100, retained_max=2))
    store.put(message("a", bytes(50)), "first", NOW_MS)
    store.put(message("b", bytes(48)), "second", NOW_MS)
    assert not store.put(message("c"), "third", NOW_MS)

    assert store.put(message("health", bytes(500)), None, NOW_MS)
    assert store.put(message("a", bytes(500)), None, NOW_MS)
    assert store.put(message("c", bytes(40)), "third", NOW_MS)


def test_what_expired_is_not_sent_and_makes_room():
    store = RetainedStore(replace(LIMITS, retained_max=1))
    short = Message("a", b"x", 1, is_retained=True, expires_at_ms=NOW_MS + 5)
    assert store.put(short, "dev", NOW_MS)

    assert list(store.matching("#", NOW_MS + 4)) == [short]
    assert list(store.matching("a", NOW_MS + 5)) == []
    assert not store.put(message("b"), "dev", NOW_MS + 4)
    assert store.put(message("b"), "dev", NOW_MS + 5)
    assert len(store) == 1
