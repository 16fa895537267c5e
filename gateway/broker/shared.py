"""Shared subscriptions (MQTT 5 section 4.8): each message goes to one member of a group.

Members take turns. One that is connected goes before one that is away; where nobody is connected, the
message waits in the queue of a member that is remembered. What a session did not get before it ended goes
to another member.
"""

from collections.abc import Sequence

from gateway.broker.changes import Delivery
from gateway.broker.message import Message, Subscription
from gateway.broker.session.driver import Session
from gateway.broker.trie import Grant, SubscriptionTrie, grant_of
from gateway.model.topics import matches


class SharedGroup:
    """The members of one share and filter; a `Subscriber` of the trie."""

    def __init__(self) -> None:
        self.members: dict[Session, Grant] = {}

    def deliver(self, message: Message, grant: Grant) -> bool:
        """Give the message to the next member that takes it; False when none does."""
        del grant  # each member has its own
        for is_connected in (True, False):
            for session, own in list(self.members.items()):
                if session.is_connected is is_connected and _takes(session, message, own):
                    # To the end: the others come first the next time.
                    self.members[session] = self.members.pop(session)
                    return True
        return False


class SharedGroups:
    """(share name, filter) -> group, in the trie as long as it has members."""

    def __init__(self, trie: SubscriptionTrie) -> None:
        self._trie = trie
        self._groups: dict[tuple[str, str], SharedGroup] = {}

    def subscribe(
        self, share: str, topic_filter: str, session: Session, subscription: Subscription
    ) -> None:
        """Let a session join a group, or change its options."""
        group = self._groups.get((share, topic_filter))
        if group is None:
            group = self._groups[share, topic_filter] = SharedGroup()
            self._trie.subscribe(topic_filter, group, Subscription(qos=2))
        grant = grant_of([subscription])
        assert grant is not None
        group.members[session] = grant

    def unsubscribe(self, share: str, topic_filter: str, session: Session) -> None:
        """Let a session leave a group; the last one takes the group away."""
        group = self._groups.get((share, topic_filter))
        if group is None:
            return
        group.members.pop(session, None)
        if not group.members:
            del self._groups[share, topic_filter]
            self._trie.unsubscribe(topic_filter, group)

    def give_on(
        self, subscriptions: Sequence[tuple[str, str]], undelivered: Sequence[Delivery]
    ) -> None:
        """Give what a session that is over did not get to other members, in the old order.

        `subscriptions` are its share names ("": not shared) and filters. A message that came by more
        than one of them goes to nobody: it is not known by which, and others may have it already.
        """
        for delivery in undelivered:
            topic = delivery.message.topic
            matching = [one for one in subscriptions if matches(one[1], topic)]
            group = self._groups.get(matching[0]) if len(matching) == 1 else None
            if group is not None:
                group.deliver(delivery.message, Grant(delivery.qos))


def _takes(session: Session, message: Message, grant: Grant) -> bool:
    if not session.is_connected and not session.state.queues_offline:
        return False
    return session.deliver(message, grant)
