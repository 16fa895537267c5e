"""Retained messages: replacement, removal, and every limit."""

from dataclasses import replace

from gateway.broker.message import Message
from gateway.broker.retained import RetainedStore
from gateway.broker.settings import BrokerSettings

LIMITS = BrokerSettings("gw1")


def message(topic: str, payload: bytes = b"x") -> Message:
    return Message(topic, payload, 1, is_retained=True)


def test_the_last_message_of_a_topic_is_kept():
    store = RetainedStore(LIMITS)

    assert store.put(message("a", b"1"), "dev")
    assert store.put(message("a", b"2"), "dev")

    assert [m.payload for m in store.matching("a")] == [b"2"]
    assert len(store) == 1


def test_an_empty_payload_removes_and_gives_the_room_back():
    limits = replace(LIMITS, retained_max=1)
    store = RetainedStore(limits)
    store.put(message("a"), "dev")

    assert not store.put(message("b"), "dev")
    assert store.put(message("a", b""), "dev")
    assert list(store.matching("#")) == []
    assert store.put(message("b"), "dev")


def test_wildcards_match_many_and_not_dollar_topics():
    store = RetainedStore(LIMITS)
    for topic in ("a/1", "a/2", "b/1", "$x/1"):
        store.put(message(topic), None)

    assert {m.topic for m in store.matching("+/1")} == {"a/1", "b/1"}
    assert {m.topic for m in store.matching("a/#")} == {"a/1", "a/2"}


def test_one_principal_has_a_share_and_the_gateway_has_none():
    store = RetainedStore(replace(LIMITS, retained_per_principal_max=2))

    assert store.put(message("a"), "dev")
    assert store.put(message("b"), "dev")
    assert not store.put(message("c"), "dev")
    assert store.put(message("b", b"new"), "dev")
    assert store.put(message("c"), "other")
    assert all(store.put(message(f"own/{n}"), None) for n in range(5))


def test_taking_over_a_topic_counts_for_the_new_owner():
    store = RetainedStore(replace(LIMITS, retained_per_principal_max=1))
    store.put(message("a"), "first")
    store.put(message("b"), "second")

    assert not store.put(message("a"), "second")
    store.put(message("b", b""), "first")
    assert store.put(message("a"), "second")
    assert store.put(message("c"), "first")


def test_bytes_are_bounded_in_all_and_a_replacement_counts_once():
    store = RetainedStore(replace(LIMITS, retained_bytes_max=100))

    assert store.put(message("a", bytes(90)), "first")
    assert not store.put(message("b", bytes(20)), "second")
    assert store.put(message("a", bytes(95)), "first")
    assert store.put(message("a", bytes(10)), "first")
    assert store.put(message("b", bytes(20)), "second")


def test_one_principal_has_a_share_of_the_bytes():
    store = RetainedStore(replace(LIMITS, retained_bytes_per_principal_max=100))

    assert store.put(message("a", bytes(90)), "dev")
    assert not store.put(message("b", bytes(20)), "dev")
    assert store.put(message("b", bytes(20)), "other")
    assert store.put(message("a", bytes(10)), "dev")
    assert store.put(message("c", bytes(80)), "dev")


def test_devices_that_take_all_they_may_leave_room_for_the_gateway():
    store = RetainedStore(replace(LIMITS, retained_bytes_max=100, retained_max=2))
    store.put(message("a", bytes(50)), "first")
    store.put(message("b", bytes(48)), "second")
    assert not store.put(message("c"), "third")

    assert store.put(message("health", bytes(500)), None)
    assert store.put(message("a", bytes(500)), None)
    assert store.put(message("c", bytes(40)), "third")
