"""Retained messages, one per topic, within limits of number and bytes per owner and in all.

The gateway's own messages have no limit: their topics are as many as there are devices, and no
hostile device may fill the place of what the gateway has to say.
"""

from collections import Counter
from collections.abc import Iterator

from gateway.broker.message import Message
from gateway.broker.settings import BrokerSettings
from gateway.model import topics


class RetainedStore:
    """Topic -> last retained message. Owner None is the gateway itself."""

    def __init__(self, limits: BrokerSettings) -> None:
        self._limits = limits
        self._messages: dict[str, Message] = {}
        self._owners: dict[str, str | None] = {}
        self._count_by_owner: Counter[str | None] = Counter()
        self._bytes_by_owner: Counter[str | None] = Counter()

    def __len__(self) -> int:
        return len(self._messages)

    def put(self, message: Message, owner: str | None, now_ms: int) -> bool:
        """Keep `message` for its topic; False when a limit forbids it and the old one stays.

        An empty payload removes what is there [MQTT-3.3.1-10].
        """
        if not message.payload:
            self._remove(message.topic)
            return True
        if not self.has_room(message, owner, now_ms):
            return False
        self._remove(message.topic)
        self._messages[message.topic] = message
        self._owners[message.topic] = owner
        self._count_by_owner[owner] += 1
        self._bytes_by_owner[owner] += _size(message)
        return True

    def matching(self, topic_filter: str, now_ms: int) -> Iterator[Message]:
        """Yield the messages whose topic matches, as they are now; what expired is gone."""
        if "+" not in topic_filter and "#" not in topic_filter:
            message = self._messages.get(topic_filter)
            if message is not None and not is_expired(message, now_ms):
                yield message
            return
        for message in list(self._messages.values()):
            if not is_expired(message, now_ms) and topics.matches(topic_filter, message.topic):
                yield message

    def has_room(self, message: Message, owner: str | None, now_ms: int) -> bool:
        """Tell whether the limits let `owner` keep `message`, once what expired is gone."""
        if not message.payload or self._fits(message, owner):
            return True
        for topic in [one.topic for one in self._messages.values() if is_expired(one, now_ms)]:
            self._remove(topic)
        return self._fits(message, owner)

    def _fits(self, message: Message, owner: str | None) -> bool:
        if owner is None:
            return True
        limits = self._limits
        old = self._messages.get(message.topic)
        old_owner = self._owners.get(message.topic)
        # What is there counts no more, neither in its owner's share nor in all.
        own_old = old if old_owner == owner else None
        others_old = old if old_owner is not None else None
        count = self._count_by_owner[owner] + (own_old is None)
        own_bytes = self._bytes_by_owner[owner] + _growth(message, own_old)
        count_all = self._count_by_owner.total() - self._count_by_owner[None]
        bytes_all = self._bytes_by_owner.total() - self._bytes_by_owner[None]
        return (
            count <= limits.retained_per_principal_max
            and own_bytes <= limits.retained_bytes_per_principal_max
            and count_all + (others_old is None) <= limits.retained_max
            and bytes_all + _growth(message, others_old) <= limits.retained_bytes_max
        )

    def _remove(self, topic: str) -> None:
        message = self._messages.pop(topic, None)
        if message is not None:
            owner = self._owners.pop(topic)
            self._count_by_owner[owner] -= 1
            self._bytes_by_owner[owner] -= _size(message)
            if not self._count_by_owner[owner]:
                del self._count_by_owner[owner]
                del self._bytes_by_owner[owner]


def _size(message: Message) -> int:
    return len(message.topic) + len(message.payload) + len(message.properties)


def is_expired(message: Message, now_ms: int) -> bool:
    """Tell whether a message's time is over (MQTT 5 section 3.3.2.3.3)."""
    return 0 < message.expires_at_ms <= now_ms


def _growth(message: Message, replaced: Message | None) -> int:
    return _size(message) - (_size(replaced) if replaced else 0)
