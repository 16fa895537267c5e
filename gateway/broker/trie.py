"""Subscriptions by topic level: the cost of a match follows the topic, not their number.

`match` returns a tuple that later changes do not touch, so a fan-out never sees one half done.
"""

from typing import Protocol, TypeAlias

import msgspec

from gateway.broker.message import Message, Subscription

_CACHE_TOPICS_MAX = 4_096  # a hostile publisher of new names only empties the cache
_CACHE_MATCHES_MAX = 50_000  # in all: some 5 MB, however many subscribe to everything


class Grant(msgspec.Struct, frozen=True, gc=False):
    """What a subscriber gets of a topic: all its subscriptions that match, taken together."""

    qos: int
    is_retain_as_published: bool = False
    identifiers: tuple[int, ...] = ()


class Subscriber(Protocol):
    """Where messages go; compared and hashed by identity."""

    def deliver(self, message: Message, grant: Grant) -> bool:
        """Take a message; False when a limit made it drop the message."""
        ...


_PLAIN_GRANTS = (Grant(0), Grant(1), Grant(2))  # nearly all are one of these: one object for many

Match: TypeAlias = tuple[Subscriber, Grant | None, Grant | None]
"""A subscriber, what it gets of others' messages, and of its own (no local: None)."""

Matches: TypeAlias = tuple[Match, ...]


class _Node:
    __slots__ = ("children", "subscribers")

    def __init__(self) -> None:
        self.children: dict[str, _Node] = {}
        self.subscribers: dict[Subscriber, Subscription] = {}


class SubscriptionTrie:
    """Topic filter -> subscribers with their options. `version` grows with every change."""

    def __init__(self) -> None:
        self.version = 0
        self._root = _Node()
        self._cache: dict[str, Matches] = {}
        self._cached_matches = 0

    def subscribe(
        self, topic_filter: str, subscriber: Subscriber, subscription: Subscription
    ) -> None:
        """Add a subscription, or replace its options [MQTT-3.8.4-3]."""
        node = self._root
        for level in topic_filter.split("/"):
            child = node.children.get(level)
            if child is None:
                child = node.children[level] = _Node()
            node = child
        node.subscribers[subscriber] = subscription
        self._changed()

    def unsubscribe(self, topic_filter: str, subscriber: Subscriber) -> None:
        """Remove a subscription, if there is one, and the branch that only it needed."""
        path: list[tuple[_Node, str]] = []
        node = self._root
        for level in topic_filter.split("/"):
            child = node.children.get(level)
            if child is None:
                return
            path.append((node, level))
            node = child
        node.subscribers.pop(subscriber, None)
        for parent, level in reversed(path):
            child = parent.children[level]
            if child.children or child.subscribers:
                break
            del parent.children[level]
        self._changed()

    def match(self, topic: str) -> Matches:
        """Return each subscriber of `topic` once."""
        found = self._cache.get(topic)
        if found is None:
            found = self._walk(topic)
            self._cached_matches += len(found)
            if len(self._cache) >= _CACHE_TOPICS_MAX or self._cached_matches > _CACHE_MATCHES_MAX:
                self._cache.clear()
                self._cached_matches = len(found)
            self._cache[topic] = found
        return found

    def _changed(self) -> None:
        self.version += 1
        self._cache.clear()
        self._cached_matches = 0

    def _walk(self, topic: str) -> Matches:
        found: dict[Subscriber, list[Subscription]] = {}
        # Wildcards do not reach topics that start with $ [MQTT-4.7.2-1].
        wildcards = ("+",) if not topic.startswith("$") else ()
        nodes = [self._root]
        for position, level in enumerate(topic.split("/")):
            if position or wildcards:
                for node in nodes:
                    _collect(node.children.get("#"), found)
            names = (level, "+") if position else (level, *wildcards)
            nodes = [
                node.children[name] for node in nodes for name in names if name in node.children
            ]
        for node in nodes:
            _collect(node, found)
            _collect(node.children.get("#"), found)  # `a/#` matches `a` too (4.7.1.2)
        return tuple(_merge(subscriber, matching) for subscriber, matching in found.items())

    def __len__(self) -> int:
        """Count the nodes, for tests of pruning: an empty trie has one."""
        waiting, count = [self._root], 0
        while waiting:
            node = waiting.pop()
            count += 1
            waiting.extend(node.children.values())
        return count


def grant_of(subscriptions: list[Subscription]) -> Grant | None:
    """Join subscriptions that match one message: the highest QoS, each identifier once.

    One copy goes out, whatever the overlap [MQTT-3.3.4-2, 3.3.5-1].
    """
    if not subscriptions:
        return None
    first = subscriptions[0]
    if len(subscriptions) == 1 and not first.is_retain_as_published and not first.identifier:
        return _PLAIN_GRANTS[first.qos]
    return Grant(
        qos=max(subscription.qos for subscription in subscriptions),
        is_retain_as_published=any(
            subscription.is_retain_as_published for subscription in subscriptions
        ),
        identifiers=tuple(
            dict.fromkeys(
                subscription.identifier for subscription in subscriptions if subscription.identifier
            )
        ),
    )


def _collect(node: _Node | None, found: dict[Subscriber, list[Subscription]]) -> None:
    if node is not None:
        for subscriber, subscription in node.subscribers.items():
            found.setdefault(subscriber, []).append(subscription)


def _merge(subscriber: Subscriber, matching: list[Subscription]) -> Match:
    grant = grant_of(matching)
    if any(subscription.is_no_local for subscription in matching):  # [MQTT-3.8.3-3]
        return subscriber, grant, grant_of([s for s in matching if not s.is_no_local])
    return subscriber, grant, grant
