"""Sessions, subscriptions and retained messages of the whole broker: who gets which message.

Rule 1: nothing here is reached before its principal is known: no session is read, taken over or
wiped for a client that has not proved who it is.
Rule 2: every publish, subscribe and will passes `access`, a will also when it is published.
Rule 3: no await and no I/O: one call is one step, and no other client sees half of it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from gateway.broker import access
from gateway.broker.message import Message
from gateway.broker.outbound import OutboundBudget
from gateway.broker.packets import SUBSCRIPTION_REFUSED, Connect, Will
from gateway.broker.retained import RetainedStore
from gateway.broker.session import Outlet, Session
from gateway.broker.sessions import SessionRegistry
from gateway.broker.settings import BrokerSettings
from gateway.broker.trie import Subscriber, SubscriptionTrie
from gateway.clock import Clock
from gateway.errors import Rejected
from gateway.model.principal import Principal
from gateway.ports import TelemetrySink


class Reporter(Protocol):
    """Tells people what was refused."""

    def rejected(self, principal: Principal, topic: str, refusal: Rejected) -> None:
        """A reading was not stored."""
        ...

    def denied(self, principal: Principal, action: str, topic: str) -> None:
        """A principal tried what its filters do not allow."""
        ...

    def closed(self, principal: Principal, reason: str) -> None:
        """A limit made the broker end a session."""
        ...

    def refused(self, address: str, code: int) -> None:
        """A CONNECT was answered with this code."""
        ...

    def authenticator_failed(self, error: Exception) -> None:
        """Nobody can be verified."""
        ...


@dataclass(slots=True)
class Tally:
    """What happened since the start, counted where it happens."""

    received: int = 0
    rejected: int = 0
    denied: int = 0
    dropped: int = 0


class BrokerCore:
    """Routing between sessions. Connections enter by `attach` and leave by `detach`."""

    def __init__(
        self, limits: BrokerSettings, sink: TelemetrySink, reporter: Reporter, clock: Clock
    ) -> None:
        self.limits = limits
        self.sink = sink
        self.reporter = reporter
        self.tally = Tally()
        self.sessions = SessionRegistry(limits)
        self.rights_version = 0  # a principal found before a change of it is not let in after
        self._outbound = OutboundBudget(limits.outbound_bytes_max)
        self._is_relieving = False
        self._clock = clock
        self._unnamed = 0
        self._trie = SubscriptionTrie()
        self._retained = RetainedStore(limits)

    def new_client_id(self) -> str:
        """Return a name for a client that gave none; no client can send U+0000 in one itself."""
        self._unnamed += 1
        return f"\0{self._unnamed}"

    def attach(
        self, principal: Principal, connect: Connect, outlet: Outlet
    ) -> tuple[Session, bool]:
        """Return the session of an authenticated client, and whether it existed before.

        A connection that holds it is closed first, with its will [MQTT-3.1.4-2]; CleanSession
        discards what was kept [MQTT-3.1.2-6]. The caller sends CONNACK, then resumes the session.
        """
        key = (principal.name, connect.client_id)
        old = self.sessions.get(key)
        if old is not None and old.outlet is not None:
            old.outlet.close("its client id connected again")
            old = self.sessions.get(key)
        if old is not None and connect.is_clean:
            self._discard(old)
            old = None
        session = old or Session(
            principal, connect.client_id, self.limits, self._outbound, is_clean=connect.is_clean
        )
        if old is not None:
            self._apply_current_rights(old, principal)
        session.outlet = outlet
        self.sessions.add(session)
        for surplus in self.sessions.live_surplus(principal):
            self._close(surplus, "its principal has too many sessions")
        return session, old is not None

    def detach(self, session: Session, outlet: Outlet, will: Will | None) -> None:
        """Take the connection from a session; publish the will unless it was withdrawn.

        A will speaks of the connection, not of what was measured: it is routed and never stored.
        """
        if session.outlet is not outlet:
            return
        session.outlet = None
        if session.is_clean:
            self._discard(session)
        else:
            now_ms = self._clock.now_ms()
            self.sessions.leave(session, now_ms)
            for surplus in self.sessions.surplus(session.principal.name, now_ms):
                self._discard(surplus)
        if will is not None and access.may_publish(session.principal, will.topic):
            self.route(will.topic, will.payload, will.qos, session.principal, retain=will.retain)

    def expel(self, is_expelled: Callable[[Principal], bool], reason: str) -> set[Principal]:
        """End every session, also the waiting, of principals for which `is_expelled`; return those.

        Their wills are not published: they have no rights any more.
        """
        self.rights_version += 1
        principals = {session.principal for session in self.sessions.all()}
        expelled = {principal for principal in principals if is_expelled(principal)}
        for session in self.sessions.all():
            if session.principal in expelled:
                outlet, session.outlet = session.outlet, None
                self._discard(session)
                if outlet is not None:
                    outlet.close(reason)
        return expelled

    def route(
        self, topic: str, payload: bytes, qos: int, origin: Principal | None, *, retain: bool
    ) -> None:
        """Retain and route one message whose sender was checked; None is the gateway itself."""
        if retain:
            owner = origin.name if origin else None
            if not self._retained.put(Message(topic, payload, qos, is_retained=True), owner):
                self.tally.dropped += 1
        subscribers = self._trie.match(topic)
        if subscribers:
            # To those who are there already it goes as a live message [MQTT-3.3.1-9].
            message = Message(topic, payload, qos, is_retained=False)
            for subscriber, granted in subscribers:
                if not subscriber.deliver(message, min(qos, granted)):
                    self.tally.dropped += 1
            self._relieve()

    def subscribe(self, session: Session, topic_filter: str, qos: int) -> int:
        """Return the granted QoS, or the refusal code of SUBACK. `replay_retained` comes after."""
        is_new = topic_filter not in session.subscriptions
        if is_new and len(session.subscriptions) >= self.limits.subscriptions_max:
            return SUBSCRIPTION_REFUSED
        if not access.may_subscribe(session.principal, topic_filter):
            self.tally.denied += 1
            self.reporter.denied(session.principal, "subscribe", topic_filter)
            return SUBSCRIPTION_REFUSED
        session.subscriptions[topic_filter] = qos
        self._trie.subscribe(topic_filter, session, qos)
        return qos

    def replay_retained(self, session: Session, topic_filter: str, qos: int) -> None:
        """Send a new subscription what is retained for it [MQTT-3.3.1-6, 3.3.1-8]."""
        for message in self._retained.matching(topic_filter):
            if not session.deliver(message, min(message.qos, qos)):
                self.tally.dropped += 1
        self._relieve()

    def unsubscribe(self, session: Session, topic_filter: str) -> None:
        """Remove a subscription; messages already queued are still sent [MQTT-3.10.4-3]."""
        if session.subscriptions.pop(topic_filter, None) is not None:
            self._trie.unsubscribe(topic_filter, session)

    def listen(self, topic_filter: str, subscriber: Subscriber) -> None:
        """Subscribe a part of the gateway itself; it also gets what is retained now."""
        self._trie.subscribe(topic_filter, subscriber, 2)
        for message in self._retained.matching(topic_filter):
            subscriber.deliver(message, message.qos)

    def _apply_current_rights(self, session: Session, principal: Principal) -> None:
        for topic_filter in list(session.subscriptions):
            if not access.may_subscribe(principal, topic_filter):
                self.unsubscribe(session, topic_filter)
        session.keep_only(principal, lambda topic: access.may_receive(principal, topic))

    def _discard(self, session: Session) -> None:
        for topic_filter in list(session.subscriptions):
            self.unsubscribe(session, topic_filter)
        self.sessions.remove(session)
        session.end()

    def _close(self, session: Session, reason: str) -> None:
        self.reporter.closed(session.principal, reason)
        if session.outlet is not None:
            session.outlet.close(reason)

    def _relieve(self) -> None:
        """End the sessions that hold most, until all together hold no more than they may."""
        if self._is_relieving:
            return  # a will of a session that is ended here: the loop below goes on
        self._is_relieving = True
        try:
            while not self._outbound.has_room():
                largest = max(self.sessions.all(), key=lambda session: session.held_bytes)
                self.tally.dropped += largest.held
                self._close(
                    largest, "it holds most of the messages that wait, and all are too many"
                )
                self._discard(largest)
        finally:
            self._is_relieving = False
