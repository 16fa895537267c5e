"""Topic matching (MQTT 3.1.1 section 4.7) and the trie's bookkeeping."""

import pytest
from hypothesis import given, strategies as st

from gateway.broker.message import Message, Subscription
from gateway.broker.trie import Grant, Match, Subscriber, SubscriptionTrie
from gateway.model import topics


class Recorder:
    def __init__(self) -> None:
        self.messages: list[Message] = []

    def deliver(self, message: Message, grant: Grant) -> bool:
        self.messages.append(message)
        return True


def match(subscriber: Subscriber, qos: int) -> Match:
    return subscriber, Grant(qos), Grant(qos)


@pytest.mark.parametrize(
    ("topic_filter", "topic", "is_match"),
    [
        ("a/b", "a/b", True),
        ("a/b", "a/c", False),
        ("a/+", "a/b", True),
        ("a/+", "a", False),
        ("a/+", "a/", True),
        ("a/+", "a/b/c", False),
        ("+/+", "/a", True),
        ("+", "/a", False),
        ("a/#", "a", True),
        ("a/#", "a/b/c", True),
        ("a/#", "ab", False),
        ("#", "a/b", True),
        ("+/b/#", "a/b", True),
        ("#", "$SYS/x", False),
        ("+/x", "$SYS/x", False),
        ("$SYS/#", "$SYS/x", True),
        ("$SYS/+", "$SYS/x", True),
    ],
)
def test_a_filter_matches_as_the_standard_says(topic_filter, topic, is_match):
    trie = SubscriptionTrie()
    subscriber = Recorder()

    trie.subscribe(topic_filter, subscriber, Subscription(1))

    assert trie.match(topic) == ((match(subscriber, 1),) if is_match else ())


LEVEL = st.sampled_from(["a", "b", "", "$x"])
TOPIC = st.lists(LEVEL, min_size=1, max_size=4).map("/".join).filter(bool)
FILTER = st.builds(
    lambda levels, tail: "/".join([*levels, *tail]),
    st.lists(st.one_of(LEVEL, st.just("+")), min_size=1, max_size=4),
    st.sampled_from([[], ["#"]]),
).filter(bool)


@given(filters=st.lists(FILTER, max_size=8, unique=True), topic=TOPIC)
def test_the_trie_agrees_with_matching_one_filter_at_a_time(filters, topic):
    trie = SubscriptionTrie()
    subscribers = {topic_filter: Recorder() for topic_filter in filters}
    for topic_filter, subscriber in subscribers.items():
        trie.subscribe(topic_filter, subscriber, Subscription(0))

    found = {subscriber for subscriber, _, _ in trie.match(topic)}

    assert found == {subscribers[f] for f in filters if topics.matches(f, topic)}


def test_overlapping_subscriptions_give_one_delivery_at_the_highest_qos():
    trie = SubscriptionTrie()
    subscriber = Recorder()

    trie.subscribe("a/#", subscriber, Subscription(0))
    trie.subscribe("a/+", subscriber, Subscription(2))
    trie.subscribe("a/b", subscriber, Subscription(1))

    assert trie.match("a/b") == (match(subscriber, 2),)


def test_subscribing_again_replaces_the_qos():
    trie = SubscriptionTrie()
    subscriber = Recorder()

    trie.subscribe("a", subscriber, Subscription(2))
    trie.subscribe("a", subscriber, Subscription(0))

    assert trie.match("a") == (match(subscriber, 0),)


def test_a_match_in_hand_is_not_touched_by_later_changes():
    trie = SubscriptionTrie()
    first, second = Recorder(), Recorder()
    trie.subscribe("a", first, Subscription(0))
    in_hand = trie.match("a")

    trie.subscribe("a", second, Subscription(0))
    trie.unsubscribe("a", first)

    assert in_hand == (match(first, 0),)
    assert trie.match("a") == (match(second, 0),)


def test_unsubscribing_prunes_only_what_nobody_else_needs():
    trie = SubscriptionTrie()
    first, second = Recorder(), Recorder()
    trie.subscribe("a/b/c", first, Subscription(0))
    trie.subscribe("a/b", second, Subscription(0))

    trie.unsubscribe("a/b/c", first)
    assert trie.match("a/b") == (match(second, 0),)
    assert len(trie) == 3

    trie.unsubscribe("a/b", second)
    trie.unsubscribe("never/there", second)
    assert len(trie) == 1


def test_overlapping_subscriptions_join_their_identifiers_and_flags():
    trie = SubscriptionTrie()
    subscriber = Recorder()

    trie.subscribe("a/#", subscriber, Subscription(0, identifier=7))
    trie.subscribe("a/+", subscriber, Subscription(1, is_retain_as_published=True))
    trie.subscribe("a/b", subscriber, Subscription(0, identifier=9))

    grant = Grant(1, is_retain_as_published=True, identifiers=(7, 9))
    assert trie.match("a/b") == ((subscriber, grant, grant),)


def test_no_local_leaves_out_only_what_that_subscription_would_get():
    trie = SubscriptionTrie()
    subscriber = Recorder()

    trie.subscribe("a/b", subscriber, Subscription(2, is_no_local=True))
    assert trie.match("a/b") == ((subscriber, Grant(2), None),)

    trie.subscribe("a/#", subscriber, Subscription(1))
    assert trie.match("a/b") == ((subscriber, Grant(2), Grant(1)),)


def test_what_is_remembered_of_matches_is_bounded_however_many_subscribe():
    trie = SubscriptionTrie()
    everybody = [Recorder() for _ in range(1_000)]
    for subscriber in everybody:
        trie.subscribe("#", subscriber, Subscription(0))

    remembered = [trie.match(f"t/{number}") for number in range(200)]

    assert all(len(matches) == 1_000 for matches in remembered)
    assert trie.match("t/199") is remembered[199]
    assert trie.match("t/0") is not remembered[0]
    assert trie.match("t/0") == remembered[0]


def test_the_version_tells_of_every_change():
    trie = SubscriptionTrie()
    subscriber = Recorder()
    versions = [trie.version]

    trie.subscribe("a", subscriber, Subscription(1))
    versions.append(trie.version)
    trie.unsubscribe("a", subscriber)
    versions.append(trie.version)

    assert len(set(versions)) == 3
