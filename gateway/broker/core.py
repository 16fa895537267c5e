"""Sessions, subscriptions and retained messages of the whole broker: who gets which message.

Rule 1: nothing here is reached before its principal is known: no session is read, taken over or
wiped for a client that has not proved who it is.
Rule 2: every publish, subscribe and will passes `access`, a will also when it is published.
Rule 3: no await and no I/O: one call is one step, and no other client sees half of it.
"""

from collections.abc import Callable

from gateway.broker import access
from gateway.broker.changes import RetainedPut, RetainedRemoved, StoredState
from gateway.broker.codec.packets import Connect, Will
from gateway.broker.codec.reasons import Reason
from gateway.broker.codec.topic_rules import split_shared
from gateway.broker.exchanges import Exchanges
from gateway.broker.message import Message, Subscription
from gateway.broker.outbound import OutboundBudget
from gateway.broker.pending import PendingShare
from gateway.broker.ports import CommitDone, ExchangeStore, SessionJournal
from gateway.broker.recorder import Recorder
from gateway.broker.reports import Reporter, Tally
from gateway.broker.retained import RetainedStore, is_expired
from gateway.broker.session.driver import Session
from gateway.broker.session.outlet import Outlet
from gateway.broker.session.state import SessionLimits, get_undelivered
from gateway.broker.sessions import SessionRegistry
from gateway.broker.settings import RECEIVE_QOS2_MAX, BrokerSettings
from gateway.broker.shared import SharedGroups
from gateway.broker.trie import Grant, Matches, Subscriber, SubscriptionTrie, grant_of
from gateway.broker.wills import DelayedWill, DelayedWills
from gateway.clock import Clock
from gateway.model.principal import Principal, PrincipalKind
from gateway.ports import TelemetrySink


class BrokerCore:
    """Routing between sessions. Connections enter by `attach` and leave by `detach`."""

    def __init__(
        self,
        limits: BrokerSettings,
        sink: TelemetrySink,
        reporter: Reporter,
        clock: Clock,
        journal: SessionJournal,
        *,
        exchange_store: ExchangeStore | None = None,
    ) -> None:
        """Without an `exchange_store`, what came at QoS 2 is known from the journal alone."""
        self.limits = limits
        self.sink = sink
        self.reporter = reporter
        self.clock = clock
        self.recorder = Recorder(journal)
        self.exchanges = Exchanges(self.recorder, exchange_store)
        self.tally = Tally()
        self.sessions = SessionRegistry(limits)
        self.password_version = 0  # who was verified before a change of it is not let in after
        self.deliveries = 0  # to subscribers, since the start
        self.trie = SubscriptionTrie()
        self.on_due: Callable[[int], None] = _ignore_due
        self._session_limits = SessionLimits(
            queue_messages_max=limits.queue_messages_max,
            queue_bytes_max=limits.queue_bytes_max,
            replay_bytes_max=limits.retained_bytes_max,
            received_max=RECEIVE_QOS2_MAX,
        )
        self.pending = PendingShare(limits)
        self._outbound = OutboundBudget(limits.outbound_bytes_max)
        self._is_relieving = False
        self._groups = SharedGroups(self.trie)
        self._retained = RetainedStore(limits)
        self._wills = DelayedWills()

    def restore(self, stored: StoredState) -> None:
        """Take over what was kept before; call it before anybody connects."""
        now_ms = self.clock.now_ms()
        for message, owner in stored.retained:
            if is_expired(message, now_ms) or not self._retained.put(message, owner, now_ms):
                self.recorder.record(RetainedRemoved(message.topic))
        noted = self.exchanges.load([one.key for one in stored.sessions])
        for one in sorted(stored.sessions, key=lambda session: session.left_at_ms or now_ms):
            session = self._new_session(one.principal, one.key[1])
            session.restore(one, noted.get(one.key, ()))
            if one.left_at_ms is None:
                session.detach()  # its time runs from now on, also if the broker is killed again
            self.sessions.leave(session, now_ms if one.left_at_ms is None else one.left_at_ms)
            for topic_filter, subscription in one.subscriptions.items():
                self._enter(session, topic_filter, subscription)
        self.tick()

    def attach(
        self, principal: Principal, connect: Connect, outlet: Outlet, expiry_s: int
    ) -> tuple[Session, bool]:
        """Return the session of an authenticated client, and whether it existed before.

        A connection that holds it is closed first, with its will [MQTT-3.1.4-2]; CleanSession
        discards what was kept [MQTT-3.1.2-6]. The caller sends CONNACK, then resumes the session.
        """
        key = (principal.name, connect.client_id)
        old = self.sessions.get(key)
        if old is not None and old.outlet is not None:
            old.outlet.close("its client id connected again", Reason.SESSION_TAKEN_OVER)
            old = self.sessions.get(key)
        if old is not None and connect.is_clean:
            self._discard(old)
            old = None
        session = old or self._new_session(principal, connect.client_id)
        if old is not None:
            self._wills.take(key)
            self._apply_current_rights(old, principal)
        window = min(connect.receive_max, self.limits.inflight_max)
        session.attach(outlet, window, expiry_s)
        self.sessions.add(session)
        for surplus in self.sessions.live_surplus(principal):
            self._close(surplus, "its principal has too many sessions")
        return session, old is not None

    def after_begin(self, session: Session, done: CommitDone) -> None:
        """Call `done` when the client of a new session may be told of it.

        Then nothing of an earlier session can come back in a crash, nor can this one be forgotten.
        """
        self.exchanges.after_begin(session.key, done, is_kept=session.state.is_kept)

    def detach(self, session: Session, outlet: Outlet, will: Will | None) -> None:
        """Take the connection from a session; publish the will unless it was withdrawn.

        A will speaks of the connection, not of what was measured: it is routed and never stored.
        """
        if session.outlet is not outlet:
            return
        now_ms = self.clock.now_ms()
        if will is not None:
            delay_ms = min(will.delay_s, session.expiry_s) * 1_000
            delayed = DelayedWill(will, session.principal, now_ms + delay_ms)
            self._wills.put(session.key, delayed)
        if session.expiry_s:
            session.detach()
            self.sessions.leave(session, now_ms)
            for surplus in self.sessions.surplus(session.principal.name):
                self._discard(surplus)
        else:
            session.outlet = None
            self._discard(session)
            return
        self.tick()

    def tick(self) -> None:
        """Publish the wills and end the sessions that are due; tell `on_due` when to call again."""
        now_ms = self.clock.now_ms()
        for delayed in self._wills.due(now_ms):
            self._publish_will(delayed)
        for session in self.sessions.expired(now_ms):
            self._discard(session)
        times = (self._wills.next_due_ms(), self.sessions.next_expiry_ms())
        due_ms = min((time_ms for time_ms in times if time_ms is not None), default=None)
        if due_ms is not None:
            self.on_due(due_ms)

    @property
    def waiting_bytes(self) -> tuple[int, int]:
        """What all sessions hold for their clients, and how much they may."""
        return self._outbound.held_bytes, self._outbound.bytes_max

    def largest_session(self) -> str:
        """Name the session for which most bytes wait, "" when none waits."""
        held = [session for session in self.sessions.all() if session.held_bytes]
        largest = max(held, key=lambda session: session.held_bytes, default=None)
        return "" if largest is None else f"{largest.principal.name!r} ({largest.key[1]!r})"

    def expel(self, is_expelled: Callable[[Principal], bool], reason: str) -> set[Principal]:
        """End every session, also the waiting, of principals for which `is_expelled`; return those.

        Their wills are not published: they have no rights any more.
        """
        principals = {session.principal for session in self.sessions.all()}
        expelled = {principal for principal in principals if is_expelled(principal)}
        for session in self.sessions.all():
            if session.principal in expelled:
                outlet, session.outlet = session.outlet, None
                self._wills.take(session.key)
                self._discard(session)
                if outlet is not None:
                    outlet.close(reason, Reason.NOT_AUTHORIZED)
        return expelled

    def route(self, message: Message, owner: Principal | None, origin: Session | None) -> None:
        """Retain and route one message whose sender was checked; owner None is the gateway."""
        if message.is_retained:
            self._retain(message, owner)
        self.distribute(message, self.trie.match(message.topic), origin)

    def distribute(self, message: Message, matches: Matches, origin: Session | None) -> None:
        """Hand a message to its subscribers; `origin` is the session that published it."""
        for subscriber, of_others, of_own in matches:
            grant = of_own if subscriber is origin else of_others
            if grant is not None and not subscriber.deliver(message, grant):
                self.tally.dropped += 1
        if matches:
            self.deliveries += len(matches)
            self._relieve()

    def can_retain(self, message: Message, owner: Principal) -> bool:
        """Tell whether the limits let a message be retained."""
        return self._retained.has_room(message, owner.name, self.clock.now_ms())

    def subscribe(self, session: Session, topic_filter: str, asked: Subscription) -> int:
        """Return the granted QoS, or a reason of refusal. `replay_retained` comes after."""
        known = session.state.subscriptions
        if topic_filter not in known and len(known) >= self._subscriptions_max(session.principal):
            return Reason.QUOTA_EXCEEDED
        if not access.may_subscribe(session.principal, split_shared(topic_filter)[1]):
            self.tally.denied += 1
            self.reporter.denied(session.principal, "subscribe", topic_filter)
            return Reason.NOT_AUTHORIZED
        session.subscribe(topic_filter, asked)
        self._enter(session, topic_filter, asked)
        return asked.qos

    def _subscriptions_max(self, principal: Principal) -> int:
        if principal.kind in {PrincipalKind.DEVICE, PrincipalKind.PEER}:
            return self.limits.subscriptions_max
        return self.limits.subscriptions_per_service_max

    def replay_retained(self, session: Session, topic_filter: str, asked: Subscription) -> None:
        """Send a new subscription what is retained for it [MQTT-3.3.1-6, 3.3.1-8]."""
        grant = grant_of([asked])
        assert grant is not None
        for message in self._retained.matching(topic_filter, self.clock.now_ms()):
            if not session.replay(message, grant):
                self.tally.dropped += 1
        self._relieve()

    def unsubscribe(self, session: Session, topic_filter: str) -> Reason:
        """Remove a subscription; messages already queued are still sent [MQTT-3.10.4-3]."""
        if topic_filter not in session.state.subscriptions:
            return Reason.NO_SUBSCRIPTION_EXISTED
        session.unsubscribe(topic_filter)
        self._leave(session, topic_filter)
        return Reason.SUCCESS

    def listen(self, topic_filter: str, subscriber: Subscriber) -> None:
        """Subscribe a part of the gateway itself; it also gets what is retained now."""
        self.trie.subscribe(topic_filter, subscriber, Subscription(qos=2))
        for message in self._retained.matching(topic_filter, self.clock.now_ms()):
            subscriber.deliver(message, Grant(message.qos))

    def _new_session(self, principal: Principal, client_id: str) -> Session:
        shared = (self._outbound, self.recorder, self.exchanges, self.clock)
        return Session((principal.name, client_id), principal, self._session_limits, shared)

    def _enter(self, session: Session, topic_filter: str, subscription: Subscription) -> None:
        share, shared_filter = split_shared(topic_filter)
        if share:
            self._groups.subscribe(_share_of(session, share), shared_filter, session, subscription)
        else:
            self.trie.subscribe(topic_filter, session, subscription)

    def _leave(self, session: Session, topic_filter: str) -> None:
        share, shared_filter = split_shared(topic_filter)
        if share:
            self._groups.unsubscribe(_share_of(session, share), shared_filter, session)
        else:
            self.trie.unsubscribe(topic_filter, session)

    def _retain(self, message: Message, owner: Principal | None) -> None:
        name = owner.name if owner else None
        if not self._retained.put(message, name, self.clock.now_ms()):
            self.tally.dropped += 1
        elif self.recorder.is_durable:
            removed = RetainedRemoved(message.topic)
            self.recorder.record(RetainedPut(message, name) if message.payload else removed)

    def _publish_will(self, delayed: DelayedWill) -> None:
        will = delayed.will
        if access.may_publish(delayed.principal, will.topic):
            lasts_ms = None if will.expiry_s is None else will.expiry_s * 1_000
            expires_at_ms = 0 if lasts_ms is None else self.clock.now_ms() + lasts_ms
            message = Message(
                will.topic, will.payload, will.qos, will.retain, will.properties, expires_at_ms
            )
            self.route(message, delayed.principal, None)

    def _apply_current_rights(self, session: Session, principal: Principal) -> None:
        for topic_filter in list(session.state.subscriptions):
            if not access.may_subscribe(principal, split_shared(topic_filter)[1]):
                self.unsubscribe(session, topic_filter)
        session.keep_only(principal, lambda topic: access.may_receive(principal, topic))

    def _discard(self, session: Session, *, gives_on: bool = True) -> None:
        subscriptions = list(map(split_shared, session.state.subscriptions))
        for topic_filter in session.state.subscriptions:
            self._leave(session, topic_filter)
        self.sessions.remove(session)
        is_sharing = gives_on and any(share for share, _ in subscriptions)
        undelivered = get_undelivered(session.state) if is_sharing else []
        session.end()
        if undelivered:
            shares = [(share and _share_of(session, share), one) for share, one in subscriptions]
            self._groups.give_on(shares, undelivered)
            self._relieve()
        delayed = self._wills.take(session.key)
        if delayed is not None:
            self._publish_will(delayed)

    def _close(self, session: Session, text: str) -> None:
        self.reporter.closed(session.principal, text)
        if session.outlet is not None:
            session.outlet.close(text, Reason.QUOTA_EXCEEDED)

    def _relieve(self) -> None:
        """End the sessions that hold most, until all together hold no more than they may."""
        if self._is_relieving or self._outbound.has_room():
            return  # or a will of a session that is ended here: the loop below goes on
        self._is_relieving = True
        try:
            while not self._outbound.has_room():
                largest = max(self.sessions.all(), key=lambda session: session.held_bytes)
                self.tally.dropped += largest.held
                self.tally.cut_off += 1
                self._close(
                    largest, "it holds most of the messages that wait, and all are too many"
                )
                self._discard(largest, gives_on=False)  # they are too many for the others too
        finally:
            self._is_relieving = False


def _share_of(session: Session, share: str) -> str:
    """Return a share's name among all; a device shares with itself, and takes from nobody."""
    principal = session.principal
    return f"{principal.name}\0{share}" if principal.kind is PrincipalKind.DEVICE else share


def _ignore_due(due_ms: int) -> None:
    """Stand in until somebody keeps the time."""
