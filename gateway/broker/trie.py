"""Subscriptions by topic level: the cost of a match follows the topic, not their number.

`match` returns a tuple that later changes do not touch, so a fan-out never sees one half done.
"""

from typing import Protocol

from gateway.broker.message import Message

_CACHE_MAX = 4_096  # topics; a hostile publisher of new names only empties the cache


class Subscriber(Protocol):
    """Where messages go; compared and hashed by identity."""

    def deliver(self, message: Message, qos: int) -> bool:
        """Take a message at this QoS; False when a limit made it drop the message."""
        ...


Matches = tuple[tuple[Subscriber, int], ...]


class _Node:
    __slots__ = ("children", "subscribers")

    def __init__(self) -> None:
        self.children: dict[str, _Node] = {}
        self.subscribers: dict[Subscriber, int] = {}


class SubscriptionTrie:
    """Topic filter -> subscribers with their granted QoS."""

    def __init__(self) -> None:
        self._root = _Node()
        self._cache: dict[str, Matches] = {}

    def subscribe(self, topic_filter: str, subscriber: Subscriber, qos: int) -> None:
        """Add a subscription, or replace its QoS [MQTT-3.8.4-3]."""
        node = self._root
        for level in topic_filter.split("/"):
            node = node.children.setdefault(level, _Node())
        node.subscribers[subscriber] = qos
        self._cache.clear()

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
        self._cache.clear()

    def match(self, topic: str) -> Matches:
        """Return each subscriber of `topic` once, with the highest QoS it was granted."""
        found = self._cache.get(topic)
        if found is None:
            if len(self._cache) >= _CACHE_MAX:
                self._cache.clear()
            found = self._cache[topic] = self._walk(topic)
        return found

    def _walk(self, topic: str) -> Matches:
        best: dict[Subscriber, int] = {}
        # Wildcards do not reach topics that start with $ [MQTT-4.7.2-1].
        wildcards = ("+",) if not topic.startswith("$") else ()
        nodes = [self._root]
        for position, level in enumerate(topic.split("/")):
            if position or wildcards:
                for node in nodes:
                    _collect(node.children.get("#"), best)
            names = (level, "+") if position else (level, *wildcards)
            nodes = [
                node.children[name] for node in nodes for name in names if name in node.children
            ]
        for node in nodes:
            _collect(node, best)
            _collect(node.children.get("#"), best)  # `a/#` matches `a` too (4.7.1.2)
        return tuple(best.items())

    def __len__(self) -> int:
        """Count the nodes, for tests of pruning: an empty trie has one."""
        waiting, count = [self._root], 0
        while waiting:
            node = waiting.pop()
            count += 1
            waiting.extend(node.children.values())
        return count


def _collect(node: _Node | None, best: dict[Subscriber, int]) -> None:
    if node is not None:
        for subscriber, qos in node.subscribers.items():
            best[subscriber] = max(qos, best.get(subscriber, 0))
