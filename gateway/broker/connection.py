"""One TCP connection: moves bytes between the socket and its `ClientLink`, and keeps the time.

Rule 1: outgoing bytes of one turn of the event loop leave in one write, but for the answers to
readings, of which a commit settles many: they leave at once, before the next commit begins.
Rule 2: a peer that does not read is not read from either; without progress it is cut off.
Rule 3: every wait has an end: for CONNECT, for its verification, for keep-alive, for writing.
"""

import asyncio
import logging
import socket
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, cast

from gateway.broker.addresses import peer_address
from gateway.broker.codec.packets import Connect
from gateway.broker.codec.reasons import Reason
from gateway.broker.gate import ConnectionGate, Place
from gateway.broker.link import ClientLink, LinkContext
from gateway.broker.rates import DeviceRates
from gateway.broker.tls import certificate_name
from gateway.clock import Clock
from gateway.errors import AuthenticatorBusyError
from gateway.model.principal import Principal, PrincipalKind
from gateway.ports import Authenticator

_log = logging.getLogger(__name__)

_UNSENT_BYTES_MAX = 64 * 1024  # per connection, beyond what the kernel took
_LINGER_S = 1.0  # for the last bytes to leave after a close
_KEEP_ALIVE_FACTOR = 1.5  # [MQTT-3.1.2-24]
_TCP_IDLE_S = 60  # finds dead peers that asked for no keep-alive


@dataclass(frozen=True, slots=True)
class ConnectionHost:
    """What all connections of a broker share. `spawn` runs a coroutine in the broker's group."""

    context: LinkContext
    authenticator: Authenticator
    gate: ConnectionGate
    rates: DeviceRates
    clock: Clock
    open_connections: "set[Connection]"
    spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]


class Connection(asyncio.Protocol):
    """The shell of one `ClientLink`; it is that link's `LinkShell`."""

    def __init__(self, host: ConnectionHost) -> None:
        self._host = host
        self._core = host.context.core
        self._limits = self._core.limits
        self._rates = host.rates
        self._loop = asyncio.get_running_loop()
        self._get_time = self._loop.time
        self._link = ClientLink(host.context, self)
        self._receive = self._link.receive
        self._tally = self._core.tally
        self._transport: asyncio.Transport | None = None
        self._address = "?"
        self._place: Place | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._authentication: asyncio.Task[None] | None = None
        self._outgoing: list[bytes] = []
        self._outgoing_bytes = 0
        self._received_at = 0.0
        self._uncounted_messages = 0
        self._uncounted_bytes = 0
        self._uncounted_messages_max = host.rates.uncounted_messages_max
        self._uncounted_bytes_max = host.rates.uncounted_bytes_max
        self._is_held = False
        self._is_releasing = False
        self._is_write_paused = False
        self._is_throttled = False
        self._is_closed = False
        self._device: Principal | None = None  # whose messages are counted

    @property
    def is_slow(self) -> bool:
        """Whether the peer does not read what waits for it."""
        return self._is_write_paused

    @property
    def is_waiting(self) -> bool:
        """Whether it is not read from until its readings are on disk."""
        return self._link.is_behind

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Enter the gate and give the peer a short while to send CONNECT."""
        transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but its bases
        peer = transport.get_extra_info("peername")
        own = transport.get_extra_info("sockname")
        if peer and own:  # not when the peer is gone already
            self._address = peer_address(str(peer[0]), str(own[0]))
        self._place = self._host.gate.enter(self._address, self._host.clock.monotonic_ns())
        if self._place is None:
            self._is_closed = True
            transport.abort()
            return
        self._transport = transport
        self._host.open_connections.add(self)
        transport.set_write_buffer_limits(high=_UNSENT_BYTES_MAX)
        _find_dead_peers(transport.get_extra_info("socket"), self._limits.write_timeout_s)
        self._timer = self._loop.call_later(
            self._limits.connect_timeout_s, self.close, "no CONNECT in time"
        )

    def data_received(self, data: bytes) -> None:
        """Hand bytes to the link."""
        if self._is_closed:
            return
        self._received_at = self._get_time()
        tally = self._tally
        before = tally.received
        self._receive(data)
        if self._device is not None:
            self._uncounted_messages = messages = self._uncounted_messages + tally.received - before
            self._uncounted_bytes = size = self._uncounted_bytes + len(data)
            if messages >= self._uncounted_messages_max or size >= self._uncounted_bytes_max:
                self._count(self._device)

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave, after handling what had arrived whole."""
        if self._transport is None:
            return
        if not self._is_closed:
            self._core.tally.cut_off += isinstance(exc, TimeoutError)  # it took no byte
            self._link.finish()
            self.close(f"lost: {exc}" if exc else "the peer went away")
        self._cancel_timers()
        self._transport = None
        self._host.open_connections.discard(self)
        if self._place is not None:
            self._place.leave()

    def send(self, data: bytes) -> None:
        """Queue bytes for the end of this turn of the event loop."""
        if self._is_closed:
            return
        if not self._outgoing:
            self._loop.call_soon(self._flush)
        self._outgoing.append(data)
        self._outgoing_bytes += len(data)

    def send_now(self, data: bytes) -> None:
        """Send bytes behind what is queued."""
        if self._outgoing or self._is_closed or self._transport is None:
            self.send(data)
            self._write_outgoing()
        else:
            self._transport.write(data)

    def room(self) -> int:
        """Return how much of `_UNSENT_BYTES_MAX` is left for what waits for the peer."""
        if self._is_write_paused or self._is_closed:
            return 0
        return max(0, _UNSENT_BYTES_MAX - self._outgoing_bytes)

    def end(self, text: str, reason: Reason) -> None:
        """Close, and tell the client why if it understands."""
        self._link.close(text, reason)

    def close(self, text: str) -> None:
        """Detach from the session now; let the last bytes leave if the peer takes them."""
        if self._is_closed:
            return
        self._write_outgoing()
        self._is_closed = True
        _log.debug("%s: connection closed: %s", self._address, text)
        self._cancel_timers()
        if self._authentication is not None:
            self._authentication.cancel()
        self._link.closed()
        if self._transport is not None:
            if self._is_write_paused:
                self._transport.abort()
            else:
                self._transport.close()
                self._timer = self._loop.call_later(_LINGER_S, self._transport.abort)

    def hold(self) -> None:
        """Read no more until `release`."""
        self._is_held = True
        self._apply_holds()

    def release(self) -> None:
        """Let the link go on in a later turn, so that a long backlog does not starve others."""
        if not self._is_releasing:
            self._is_releasing = True
            self._loop.call_soon(self._resume)

    def authenticate(self, connect: Connect) -> None:
        """Ask the authenticator; the link gets the answer."""
        self._cancel_timers()
        self._authentication = self._host.spawn(self._authenticate(connect))

    def pause_writing(self) -> None:
        """Stop reading while the peer does not read, and watch that it goes on."""
        self._is_write_paused = True
        self._apply_holds()
        self._watch_progress(self._unsent_bytes())

    def resume_writing(self) -> None:
        """Send what has queued up."""
        self._is_write_paused = False
        if self._write_timer is not None:
            self._write_timer.cancel()
        self._apply_holds()
        self._link.pump()

    async def _authenticate(self, connect: Connect) -> None:
        principal: Principal | None = None
        reason = Reason.NOT_AUTHORIZED
        password_version = self._core.password_version
        try:
            async with asyncio.timeout(self._limits.connect_timeout_s):
                principal = await self._host.authenticator.authenticate(
                    connect.client_id, connect.username, connect.password, self._address
                )
        except (TimeoutError, AuthenticatorBusyError):
            reason = Reason.SERVER_UNAVAILABLE
        except Exception as error:  # noqa: BLE001 - ends one CONNECT, not the broker
            self._core.reporter.authenticator_failed(error)
            reason = Reason.SERVER_UNAVAILABLE
        # In a turn of its own: an error in there is this connection's, not the task group's.
        self._loop.call_soon(self._on_authenticated, principal, reason, password_version)

    def _on_authenticated(
        self, principal: Principal | None, reason: Reason, password_version: int
    ) -> None:
        self._authentication = None
        if self._is_closed or self._transport is None:
            return
        name = certificate_name(self._transport)
        if principal is not None and name not in (None, principal.name):
            principal, reason = None, Reason.NOT_AUTHORIZED  # the certificate is another user's
        if password_version != self._core.password_version:
            # Perhaps the password that was just verified is no longer the right one: ask again.
            principal, reason = None, Reason.SERVER_UNAVAILABLE
        if principal is not None and not self._rates.may_connect(
            principal, self._host.clock.monotonic_ns()
        ):
            principal, reason = None, Reason.CONNECTION_RATE_EXCEEDED
        if principal is None:
            self._core.reporter.refused(self._address, reason)
            self._link.refuse(reason)
            return
        if self._place is not None:
            self._place.authenticated()
        if principal.kind is PrincipalKind.DEVICE:
            self._device = principal
        self._link.admit(principal)
        if self._link.keep_alive_s and not self._is_closed:
            self._received_at = self._loop.time()
            self._watch_keep_alive()

    def _resume(self) -> None:
        self._is_releasing = False
        if not self._is_closed:
            self._is_held = False
            before = self._core.tally.received
            self._link.resume()
            if self._device is not None:
                self._uncounted_messages += self._core.tally.received - before
                self._count(self._device)
            self._apply_holds()

    def _count(self, device: Principal) -> None:
        """Read no more for a while from a device that sends more than it may."""
        now_ns = self._host.clock.monotonic_ns()
        wait_s = self._rates.spend(
            device.name, self._uncounted_messages, self._uncounted_bytes, now_ns
        )
        self._uncounted_messages = self._uncounted_bytes = 0
        if wait_s > 0 and not self._is_throttled and not self._is_closed:
            self._is_throttled = True
            self._core.tally.throttled += 1
            self._core.reporter.throttled(device)
            self._loop.call_later(wait_s, self._end_throttle)
            self._apply_holds()

    def _end_throttle(self) -> None:
        self._is_throttled = False
        self._apply_holds()

    def _apply_holds(self) -> None:
        if self._is_closed or self._transport is None:
            return
        if self._is_held or self._is_write_paused or self._is_throttled:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def _watch_keep_alive(self) -> None:
        if not self._transport or not self._transport.is_reading():
            self._received_at = self._loop.time()  # we do not listen: silence proves nothing
        allowed_s = self._link.keep_alive_s * _KEEP_ALIVE_FACTOR
        left_s = self._received_at + allowed_s - self._loop.time()
        if left_s <= 0:
            self.end("silent for longer than its keep-alive allows", Reason.KEEP_ALIVE_TIMEOUT)
        else:
            self._timer = self._loop.call_later(left_s, self._watch_keep_alive)

    def _watch_progress(self, unsent_before: int) -> None:
        self._write_timer = self._loop.call_later(
            self._limits.write_timeout_s, self._check_progress, unsent_before
        )

    def _check_progress(self, unsent_before: int) -> None:
        unsent = self._unsent_bytes()
        if unsent >= unsent_before:
            self._core.tally.cut_off += 1
            self.close("it takes no more bytes")
        else:
            self._watch_progress(unsent)

    def _unsent_bytes(self) -> int:
        return self._transport.get_write_buffer_size() if self._transport else 0

    def _flush(self) -> None:
        self._write_outgoing()
        if self.room():
            self._link.pump()

    def _write_outgoing(self) -> None:
        if self._outgoing and self._transport is not None and not self._is_closed:
            self._transport.write(b"".join(self._outgoing))
        self._outgoing.clear()
        self._outgoing_bytes = 0

    def _cancel_timers(self) -> None:
        for timer in (self._timer, self._write_timer):
            if timer is not None:
                timer.cancel()
        self._timer = self._write_timer = None


def _find_dead_peers(sock: socket.socket, write_timeout_s: float) -> None:
    """Let the kernel end connections whose peer vanished without a word (tcp(7))."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _TCP_IDLE_S)
    timeout_ms = int(write_timeout_s * 1_000)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, timeout_ms)
