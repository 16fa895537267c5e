"""Retained messages, one per topic, within limits of number and bytes per owner and in all."""

from collections import Counter
from collections.abc import Iterator

from gateway.broker.packets import Message
from gateway.broker.settings import BrokerSettings
from gateway.model import topics


class RetainedStore:
    """Topic -> last retained message. The gateway itself owns messages as None, without a share."""

    def __init__(self, limits: BrokerSettings) -> None:
        self._limits = limits
        self._messages: dict[str, Message] = {}
        self._owners: dict[str, str | None] = {}
        self._count_by_owner: Counter[str | None] = Counter()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._messages)

    def put(self, message: Message, owner: str | None) -> bool:
        """Keep `message` for its topic; False when a limit forbids it and the old one stays.

        An empty payload removes what is there [MQTT-3.3.1-10].
        """
        if not message.payload:
            self._remove(message.topic)
            return True
        if not self._has_room(message, owner):
            return False
        self._remove(message.topic)
        self._messages[message.topic] = message
        self._owners[message.topic] = owner
        self._count_by_owner[owner] += 1
        self._bytes += _size(message)
        return True

    def matching(self, topic_filter: str) -> Iterator[Message]:
        """Yield the messages whose topic matches, as they are now."""
        if "+" not in topic_filter and "#" not in topic_filter:
            message = self._messages.get(topic_filter)
            if message is not None:
                yield message
            return
        for message in list(self._messages.values()):
            if topics.matches(topic_filter, message.topic):
                yield message

    def _has_room(self, message: Message, owner: str | None) -> bool:
        limits = self._limits
        old = self._messages.get(message.topic)
        if self._bytes + _size(message) - (_size(old) if old else 0) > limits.retained_bytes_max:
            return False
        if old is None and len(self._messages) >= limits.retained_max:
            return False
        is_same_owner = old is not None and self._owners[message.topic] == owner
        share = limits.retained_per_principal_max
        return owner is None or is_same_owner or self._count_by_owner[owner] < share

    def _remove(self, topic: str) -> None:
        message = self._messages.pop(topic, None)
        if message is not None:
            owner = self._owners.pop(topic)
            self._count_by_owner[owner] -= 1
            if not self._count_by_owner[owner]:
                del self._count_by_owner[owner]
            self._bytes -= _size(message)


def _size(message: Message) -> int:
    return len(message.topic) + len(message.payload)
