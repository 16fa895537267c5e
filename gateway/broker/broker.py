"""The embedded broker: puts listener, connections and core together for the gateway."""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass

from gateway.broker.codec.reasons import Reason
from gateway.broker.codec.topic_rules import is_topic_name
from gateway.broker.collector import Collector
from gateway.broker.connection import Connection, ConnectionHost
from gateway.broker.core import BrokerCore
from gateway.broker.descriptors import room_for_connections
from gateway.broker.endpoints import Endpoint
from gateway.broker.gate import ConnectionGate
from gateway.broker.link import LinkContext
from gateway.broker.listeners import AmqttListeners
from gateway.broker.message import Message
from gateway.broker.overload import BrokerLoad, OverloadWatch
from gateway.broker.ports import ExchangeStore, SessionJournal, VolatileJournal
from gateway.broker.rates import DeviceRates
from gateway.broker.reporter import RefusalReporter
from gateway.broker.settings import BrokerSettings
from gateway.broker.trie import Grant
from gateway.clock import Clock
from gateway.errors import GatewayError
from gateway.health import THROTTLED_MAX, Overload
from gateway.model.principal import Principal
from gateway.ports import Authenticator, TelemetrySink

_log = logging.getLogger(__name__)

_TICK_MAX_S = 60.0  # the clock may be set meanwhile: look again before long

Listener = Callable[[str, bytes], None]


@dataclass(frozen=True, slots=True)
class BrokerCounters:
    """A snapshot; `connections` and `sessions` are now, the others since the start."""

    connections: int
    sessions: int
    refused_connections: int
    messages: int
    rejected: int  # readings that were not stored
    denied: int  # against an access rule
    dropped: int  # by a limit of a queue or of the retained messages
    throttled: int  # how often a device was slowed down


class EmbeddedBroker:
    """A broker for MQTT 3.1.1 and 5 inside the gateway process. Create it in a running event loop."""

    def __init__(
        self,
        settings: BrokerSettings,
        authenticator: Authenticator,
        telemetry: TelemetrySink,
        clock: Clock,
        *,
        journal: SessionJournal | None = None,
        exchange_store: ExchangeStore | None = None,
    ) -> None:
        """Without a `journal`, sessions and retained messages end with the process.

        Without an `exchange_store`, a kill may make a reading of QoS 2 come again.
        """
        self._settings = settings
        self._authenticator = authenticator
        self._clock = clock
        self._journal = journal or VolatileJournal()
        reporter = RefusalReporter(settings.gateway, self.publish, clock)
        self._collector = Collector(telemetry)
        self._core = BrokerCore(
            settings, self._collector, reporter, clock, self._journal, exchange_store=exchange_store
        )
        self._core.on_due = self._schedule
        self._gate = ConnectionGate(settings)
        self._rates = DeviceRates(settings)
        self._overload = OverloadWatch()
        self._connections: set[Connection] = set()
        self._stack = contextlib.AsyncExitStack()
        self._listeners: AmqttListeners | None = None
        self._ports: tuple[int, ...] = ()
        self._timer: asyncio.TimerHandle | None = None
        self._due_ms = 0

    @property
    def port(self) -> int:
        """The port of the first listener, also where the settings asked for any."""
        return self.ports[0]

    @property
    def ports(self) -> tuple[int, ...]:
        """The ports that are listened on: the first one, then those of `more_endpoints`."""
        assert self._ports, "the broker is not started"
        return self._ports

    @property
    def counters(self) -> BrokerCounters:
        """What happened so far."""
        tally = self._core.tally
        return BrokerCounters(
            connections=self._gate.connections,
            sessions=len(self._core.sessions),
            refused_connections=self._gate.refused,
            messages=tally.received,
            rejected=tally.rejected,
            denied=tally.denied,
            dropped=tally.dropped,
            throttled=tally.throttled,
        )

    @property
    def problems(self) -> tuple[str, ...]:
        """One line for each thing that is too much for the broker now, for its health."""
        core = self._core
        held_bytes, held_bytes_max = core.waiting_bytes
        load = BrokerLoad(
            overload=self.overload,
            connections=self._gate.connections,
            connections_max=self._gate.connections_max,
            held_bytes=held_bytes,
            held_bytes_max=held_bytes_max,
            largest=core.largest_session(),
            slow=sum(connection.is_slow for connection in self._connections),
        )
        return self._overload.problems(load, self._clock.now_ms())

    @property
    def overload(self) -> Overload:
        """What was too much for the broker, in numbers and names."""
        tally = self._core.tally
        throttled = self._rates.slowed(self._clock.monotonic_ns())
        return Overload(
            throttled=throttled[-THROTTLED_MAX:],
            throttled_count=len(throttled),
            cut_off=tally.cut_off,
            refused_connections=self._gate.refused,
            dropped=tally.dropped,
            waiting=sum(connection.is_waiting for connection in self._connections),
        )

    async def start(self) -> None:
        """Listen. Raises `BrokerError`, or the exchange store's `StoreError`, with what to do."""
        assert self._listeners is None, "the broker is started already"
        self._gate.connections_max = room_for_connections(self._settings.connections_max)
        group = await self._stack.enter_async_context(asyncio.TaskGroup())
        host = ConnectionHost(
            context=LinkContext(self._core, lambda: f"auto-{secrets.token_hex(8)}"),
            authenticator=self._authenticator,
            gate=self._gate,
            rates=self._rates,
            clock=self._clock,
            open_connections=self._connections,
            spawn=group.create_task,
        )
        first = Endpoint(self._settings.host, self._settings.port, tls=self._settings.tls)
        listeners = AmqttListeners(
            (first, *self._settings.more_endpoints), lambda: Connection(host)
        )
        try:
            self._core.restore(self._journal.load())
            self._ports = await listeners.open()
        except GatewayError:
            await self._stack.aclose()
            raise
        self._listeners = listeners

    async def stop(self) -> None:
        """Stop listening and close every connection; what is not acknowledged is sent again."""
        if self._listeners is None:
            return
        self._listeners.stop_accepting()
        for connection in list(self._connections):
            connection.end("the broker stops", Reason.SERVER_SHUTTING_DOWN)
        self._collector.hand_over()  # also what is not acknowledged any more is kept
        await self._listeners.wait_closed()
        await self._stack.aclose()
        if self._timer is not None:
            self._timer.cancel()
        self._listeners = None

    def recheck(self, is_still_allowed: Callable[[Principal], bool]) -> None:
        """End every session, also the waiting, of principals that are not allowed as they are.

        Call it on the event loop after devices or credentials changed. `is_still_allowed` gets the
        principal in force; where that differs from what its user would get now, it returns False.
        A client that is being let in at this moment is seen by the next recheck.
        """
        self._expel(lambda principal: not is_still_allowed(principal), "its rights were changed")

    def disconnect(self, names: Collection[str]) -> None:
        """End every session, also the waiting, of the principals with these names."""
        self._core.password_version += 1
        self._expel(lambda principal: principal.name in names, "its password was changed")

    def connected_names(self) -> set[str]:
        """Return the names of the principals that are connected now."""
        return {
            session.principal.name
            for session in self._core.sessions.all()
            if session.outlet is not None
        }

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish as the gateway itself, at QoS 1; call it on the event loop."""
        assert is_topic_name(topic), topic
        self._core.route(Message(topic, payload, 1, retain), None, None)

    def add_listener(self, topic_filter: str, callback: Listener) -> None:
        """Call `callback(topic, payload)` on the event loop for each message that matches."""
        self._core.listen(topic_filter, _InProcessSubscriber(callback))

    def _schedule(self, due_ms: int) -> None:
        """Let the core look at what is due, at that time or a little later."""
        if self._timer is not None:
            if self._due_ms <= due_ms:
                return
            self._timer.cancel()
        self._due_ms = due_ms
        delay_s = min(max(0, due_ms - self._clock.now_ms()) / 1_000, _TICK_MAX_S)
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._core.tick()

    def _expel(self, is_expelled: Callable[[Principal], bool], reason: str) -> None:
        for principal in self._core.expel(is_expelled, reason):
            _log.info("%s %s: disconnected: %s", principal.kind.value, principal.name, reason)


class _InProcessSubscriber:
    """Calls back in a later turn, so that no callback runs inside another client's publish."""

    def __init__(self, callback: Listener) -> None:
        self._callback = callback

    def deliver(self, message: Message, grant: Grant) -> bool:  # noqa: ARG002 - a call is never lost
        asyncio.get_running_loop().call_soon(self._callback, message.topic, message.payload)
        return True
