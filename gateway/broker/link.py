"""One connection's side of MQTT, without the socket: bytes in, bytes and steps out.

    CONNECT expected -> authenticating -> connected -> closed

Rule 1: only CONNECT is understood first, and nothing after it is read before the principal is known.
Rule 2: packets are handled whole, in order, each before the next.
Rule 3: while the sink owes this connection too much, no more of its bytes are looked at.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import msgspec

from gateway.broker import access
from gateway.broker.changes import Delivery
from gateway.broker.codec import wire
from gateway.broker.codec.connect import decode_connect
from gateway.broker.codec.packets import MQTT_3_1_1, MQTT_5, Connect, Disconnect, Welcome, Will
from gateway.broker.codec.reasons import Reason
from gateway.broker.codec.topic_rules import MalformedPacketError
from gateway.broker.codec.v3 import Mqtt311
from gateway.broker.codec.v5 import Mqtt5, PublishParts
from gateway.broker.codec.version import Version
from gateway.broker.core import BrokerCore
from gateway.broker.handover import Handover
from gateway.broker.intake import Intake
from gateway.broker.link_shell import LinkShell
from gateway.broker.requests import Requests
from gateway.broker.session.driver import Session
from gateway.broker.settings import CLIENT_ID_BYTES_MAX, RECEIVE_MAX, TOPIC_ALIAS_MAX
from gateway.model.principal import Principal

_PACKETS_PER_TURN_MAX = 1_000  # some milliseconds: then it is the others' turn
_DELIVERIES_PER_TURN_MAX = 1_000  # the same, where few packets go to many
_PUBLISH_HEADER = wire.PUBLISH << 4


@dataclass(frozen=True, slots=True)
class LinkContext:
    """What all connections share; a message is encoded once for many of them."""

    core: BrokerCore
    new_client_id: Callable[[], str]
    mqtt311: Mqtt311 = field(default_factory=Mqtt311)
    parts: PublishParts = field(default_factory=PublishParts)


class ClientLink:
    """The protocol state of one connection; it is its session's `Outlet`."""

    def __init__(self, context: LinkContext, shell: LinkShell) -> None:
        self.send = shell.send
        self.send_now = shell.send_now
        self.room = shell.room
        self.keep_alive_s = 0
        self._context = context
        self._core = context.core
        self._shell = shell
        self._limits = context.core.limits
        self._version: Version = context.mqtt311
        self._requests = Requests(context.core, self)
        self._connect: Connect | None = None
        self._session: Session | None = None
        self._handover: Handover | None = None
        self._intake: Intake | None = None
        self._will: Will | None = None
        self._partial = bytearray()  # bytes of a packet that is not complete, or not looked at yet
        self._needed = 0  # how many bytes `_partial` must hold before another look is worth it
        self._is_held = False  # authenticating, waiting for the sink, or closed
        self._is_finishing = False
        self._is_closed = False

    @property
    def is_behind(self) -> bool:
        """Whether the sink owes it too much."""
        return self._handover is not None and self._handover.was_behind

    @property
    def takes_more(self) -> bool:
        """Whether there is anybody to send to."""
        return not self._is_closed and not self._is_finishing

    def receive(self, data: bytes) -> None:
        """Take bytes as they came; handle each packet that is complete."""
        if self._partial:
            self._partial += data
            if self._is_held or len(self._partial) < self._needed:
                return
            data = bytes(self._partial)
            self._partial.clear()
        position, packets_left = 0, _PACKETS_PER_TURN_MAX
        intake = self._intake
        if intake and not self._is_held:
            count = intake.take_like_last(data, 0, packets_left)
            position, packets_left = count * intake.last_length, packets_left - count
            if count and intake.is_behind():
                self._hold_if_behind()
            if position == len(data):
                return  # nearly every chunk ends here
        try:
            self._take(data, position, packets_left)
        except MalformedPacketError as error:
            self.close(str(error), error.reason)

    def resume(self) -> None:
        """Go on with the bytes that were held back."""
        if not self._is_closed:
            self._is_held = False
            self.receive(b"")

    def admit(self, principal: Principal) -> None:
        """Open the session of the client, who is `principal`."""
        connect = self._connect
        if self._is_closed or connect is None:
            return
        if connect.will is not None and access.is_reserved(connect.will.topic):
            # Bridges leave one on $SYS; it is dropped like all that is published there.
            connect = msgspec.structs.replace(connect, will=None)
        if connect.will is not None and not access.may_publish(principal, connect.will.topic):
            self._core.tally.denied += 1
            self._core.reporter.denied(principal, "leave a will on", connect.will.topic)
            self.refuse(Reason.NOT_AUTHORIZED)
            return
        is_named = bool(connect.client_id)
        if not is_named:
            connect = msgspec.structs.replace(connect, client_id=self._context.new_client_id())
        expiry_s = min(connect.expiry_s, self._limits.offline_session_expiry_s)
        keep_alive_s = min(connect.keep_alive_s, self._limits.keep_alive_max_s)
        session, was_present = self._core.attach(principal, connect, self, expiry_s)
        self._session = session
        self._will = connect.will
        self.keep_alive_s = keep_alive_s
        welcome = Welcome(
            is_session_present=was_present,
            receive_max=RECEIVE_MAX,
            packet_bytes_max=self._limits.packet_bytes_max,
            topic_alias_max=TOPIC_ALIAS_MAX,
            assigned_client_id="" if is_named else connect.client_id,
            expiry_s=None if expiry_s == connect.expiry_s else expiry_s,
            keep_alive_s=None if keep_alive_s == connect.keep_alive_s else keep_alive_s,
            response_information=access.response_topic(principal, connect.client_id)
            if connect.wants_response_information
            else "",
        )
        if was_present:
            self._welcome(session, welcome, None)
        else:
            self._core.after_begin(session, partial(self._welcome, session, welcome))

    def refuse(self, reason: Reason) -> None:
        """Answer CONNECT with a refusal and close [MQTT-3.2.2-5]."""
        self.send(self._version.encode_refusal(reason))
        self._shell.close(f"CONNECT was refused: {reason.name}")

    def pump(self) -> None:
        """Send what waits, now that the peer takes more."""
        if self._session is not None:
            self._session.pump()

    def finish(self) -> None:
        """Handle what had come complete before the peer went away: received is kept."""
        if self._intake is not None and not self._is_closed:
            self._is_finishing = True
            self.resume()

    def close(self, text: str, reason: Reason) -> None:
        """End the connection; a client of MQTT 5 is told why, once it has its CONNACK."""
        if self._intake is not None and not self._is_closed:
            farewell = self._version.encode_farewell(reason)
            if farewell:
                self.send(farewell)
        self._shell.close(text)

    def closed(self) -> None:
        """Leave the session: the connection is over."""
        self._is_closed = self._is_held = True
        self._partial.clear()
        if self._handover is not None:
            self._handover.closed()
        if self._session is not None:
            self._core.detach(self._session, self, self._will)

    def send_publish(self, delivery: Delivery, now_ms: int, *, is_dup: bool) -> bool:
        """Send a message; False when the client takes none as long."""
        packet = self._version.encode_publish(delivery, now_ms, is_dup=is_dup)
        if packet:
            self.send(packet)
        return bool(packet)

    def send_receipt(self, packet_id: int) -> None:
        """Send PUBREC in its turn, once all that was recorded is on disk."""
        if self._handover is not None:
            self._handover.receipt(packet_id)

    def send_release(self, packet_id: int, *, is_known: bool) -> None:
        """Send PUBREL."""
        reason = Reason.SUCCESS if is_known else Reason.PACKET_IDENTIFIER_NOT_FOUND
        self.send(self._version.encode_ack(wire.PUBREL, packet_id, reason))

    def send_complete(self, packet_id: int, *, is_known: bool) -> None:
        """Send PUBCOMP once the end of the exchange is on disk."""
        reason = Reason.SUCCESS if is_known else Reason.PACKET_IDENTIFIER_NOT_FOUND
        packet = self._version.encode_ack(wire.PUBCOMP, packet_id, reason)
        self._requests.send_after_commit(packet)

    def caught_up(self) -> None:
        """Read on: the sink owes less."""
        if self._is_held and not self._is_closed:
            self._shell.release()

    def _welcome(self, session: Session, welcome: Welcome, failure: str | None) -> None:
        """Answer CONNECT and begin: a session that is to last is on disk."""
        if self._is_closed:
            return
        if failure is not None:
            self.refuse(Reason.SERVER_UNAVAILABLE)
            return
        self._handover = Handover(self._core, self, session, self._version)
        self._intake = Intake(self._core, session, self._version, self._handover)
        self.send(self._version.encode_welcome(welcome))
        session.resume()
        self._shell.release()

    def _take(self, data: bytes, position: int, packets_left: int) -> None:
        """Take what is in `data` from `position` on, `packets_left` packets of it in this turn."""
        size = len(data)
        deliveries_max = self._core.deliveries + _DELIVERIES_PER_TURN_MAX
        self._needed = 0
        intake = self._intake
        while position < size and not self._is_held:
            if packets_left <= 0 or self._core.deliveries >= deliveries_max:
                packets_left = _PACKETS_PER_TURN_MAX
                deliveries_max += _DELIVERIES_PER_TURN_MAX
                self._let_others_go()
                continue  # of one that went away, all that came is taken at once
            if intake and (count := intake.take_like_last(data, position, packets_left)):
                packets_left -= count
                position += count * intake.last_length
                self._hold_if_behind()
                continue
            packets_left -= 1
            first = data[position]
            bounds = wire.frame_bounds(data, position, self._frame_limit(first))
            if bounds is None or bounds[1] > size:
                if bounds is not None:
                    self._needed = bounds[1] - position
                break
            start, end = bounds
            if first & 0xF0 == _PUBLISH_HEADER and intake is not None:
                intake.take(first, data, start, end)
                self._hold_if_behind()
            else:
                self._dispatch(first, data[start:end])
            position = end
        if position < size and not self._is_closed:
            self._partial += data[position:]

    def _frame_limit(self, first: int) -> int:
        if self._session is not None:
            return self._limits.packet_bytes_max
        if first != wire.CONNECT << 4:
            raise MalformedPacketError("the first packet is not CONNECT [MQTT-3.1.0-1]")
        return self._limits.connect_bytes_max

    def _hold_if_behind(self) -> None:
        handover = self._handover
        if handover is None or not (handover.is_behind() or self._requests.is_behind()):
            return
        if self.takes_more:
            self._is_held = True
            self._shell.hold()

    def _dispatch(self, first: int, body: bytes) -> None:
        """Handle any packet but PUBLISH."""
        kind = first >> 4
        if first & 15 != wire.REQUIRED_FLAGS.get(kind, 0):
            raise MalformedPacketError("wrong flags in a fixed header [MQTT-2.2.2-2]")
        session = self._session
        if session is None:
            self._on_connect(decode_connect(body))
            return
        match kind:
            case wire.PUBACK:
                session.acknowledge(self._version.decode_ack(body)[0])
            case wire.PUBREC | wire.PUBREL | wire.PUBCOMP:
                self._on_qos2_step(session, kind, *self._version.decode_ack(body))
            case wire.SUBSCRIBE:
                self._requests.subscribe(session, self._version, body)
                self._let_others_go()
            case wire.UNSUBSCRIBE:
                self._requests.unsubscribe(session, self._version, body)
                self._hold_if_behind()
            case wire.PINGREQ if not body:
                self.send(wire.PINGRESP)
            case wire.DISCONNECT:
                self._on_disconnect(session, self._version.decode_disconnect(body))
            case _:
                raise MalformedPacketError(
                    f"packet type {kind} is not for a server, or has a body", Reason.PROTOCOL_ERROR
                )

    def _on_connect(self, connect: Connect) -> None:
        if connect.level == MQTT_5:
            self._version = Mqtt5(connect, self._context.parts)
        elif connect.is_bridge:
            self._version = Mqtt311(is_bridge=True)
        if connect.level not in (MQTT_3_1_1, MQTT_5):
            self.refuse(Reason.UNSUPPORTED_PROTOCOL_VERSION)  # [MQTT-3.1.2-2]
        elif len(connect.client_id.encode()) > CLIENT_ID_BYTES_MAX or not (
            connect.client_id or connect.is_clean or connect.level == MQTT_5
        ):
            self.refuse(Reason.CLIENT_IDENTIFIER_NOT_VALID)  # [MQTT-3.1.3-8]
        elif connect.authentication_method:
            self.refuse(Reason.BAD_AUTHENTICATION_METHOD)
        else:
            self._connect = connect
            self._is_held = True
            self._shell.hold()
            self._shell.authenticate(connect)

    def _on_qos2_step(self, session: Session, kind: int, packet_id: int, reason: int) -> None:
        match kind:
            case wire.PUBREC:
                session.receive(packet_id, is_refused=reason >= Reason.UNSPECIFIED_ERROR)
            case wire.PUBREL:
                session.release(packet_id)
                self._hold_if_behind()
            case _:
                session.complete(packet_id)

    def _on_disconnect(self, session: Session, disconnect: Disconnect) -> None:
        if disconnect.expiry_s is not None and disconnect.expiry_s != session.expiry_s:
            if not session.expiry_s:
                raise MalformedPacketError(
                    "a session that was not to last cannot be made to", Reason.PROTOCOL_ERROR
                )
            session.set_expiry(min(disconnect.expiry_s, self._limits.offline_session_expiry_s))
        if disconnect.reason == Reason.SUCCESS:  # any other says that something is wrong
            self._will = None  # [MQTT-3.14.4-3]
        self._shell.close("the client disconnected")

    def _let_others_go(self) -> None:
        """Go on in a later turn: a row of small packets that cost much starves nobody."""
        self._hold_if_behind()
        if self.takes_more and not self._is_held:
            self._is_held = True
            self._shell.hold()
            self._shell.release()
