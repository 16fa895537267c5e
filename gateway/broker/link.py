"""One connection's side of MQTT 3.1.1, without the socket: bytes in, bytes and steps out.

    CONNECT expected -> authenticating -> connected -> closed

Rule 1: only CONNECT is understood first, and nothing after it is read before the principal is known.
Rule 2: packets are handled whole, in order, each before the next.
Rule 3: a reading of QoS 1 or 2 is acknowledged (PUBACK, PUBREC) only when the sink has it on disk.
Rule 4: while the sink owes this connection too much, no more of its bytes are looked at.
"""

from typing import Protocol

import msgspec

from gateway.broker import access, packets
from gateway.broker.acknowledgements import AcknowledgementQueue
from gateway.broker.core import BrokerCore
from gateway.broker.intake import Intake
from gateway.broker.packets import Connect
from gateway.broker.session import Outlet, Session
from gateway.broker.settings import CLIENT_ID_BYTES_MAX, RECEIVE_QOS2_MAX
from gateway.broker.topic_rules import MalformedPacketError, decode_topic_name
from gateway.model.observation import DeviceMessage
from gateway.model.principal import Principal

_ROUTES_MAX = 256  # topics remembered per connection
_PUBLISH_HEADER = packets.PUBLISH << 4


class LinkOutlet(Outlet, Protocol):
    """What a link asks of its connection's shell."""

    def hold(self) -> None:
        """Read no more from the peer."""
        ...

    def release(self) -> None:
        """Call `ClientLink.resume` soon, then read on."""
        ...

    def authenticate(self, connect: Connect) -> None:
        """Find out who this is, then call `ClientLink.admit` or `ClientLink.refuse`."""
        ...


class _Route(msgspec.Struct, frozen=True, gc=False):
    """What this connection's principal may do with one topic."""

    topic: str
    is_allowed: bool
    is_telemetry: bool


class ClientLink:
    """The protocol state of one connection."""

    def __init__(self, core: BrokerCore, outlet: LinkOutlet) -> None:
        self._core = core
        self._outlet = outlet
        self._limits = core.limits
        self._acknowledgements = AcknowledgementQueue(outlet.send)
        self._intake = Intake(core, outlet, self._acknowledgements, self._on_caught_up)
        self._connect: Connect | None = None
        self._session: Session | None = None
        self._will: packets.Will | None = None
        self._routes: dict[bytes, _Route] = {}
        self._partial = bytearray()  # bytes of a packet that is not complete, or not looked at yet
        self._needed = 0  # how many bytes `_partial` must hold before another look is worth it
        self._is_held = False  # authenticating, waiting for the sink, or closed
        self._is_finishing = False
        self._is_closed = False

    @property
    def keep_alive_s(self) -> int:
        """The keep-alive that the client announced, 0 for none."""
        return self._connect.keep_alive_s if self._connect else 0

    def receive(self, data: bytes) -> None:
        """Take bytes as they came; handle each packet that is complete."""
        if self._partial:
            self._partial += data
            if self._is_held or len(self._partial) < self._needed:
                return
            data = bytes(self._partial)
            self._partial.clear()
        try:
            self._take(data)
        except MalformedPacketError as error:
            self._outlet.close(str(error))

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
        if connect.will is not None and not access.may_publish(principal, connect.will.topic):
            self._core.tally.denied += 1
            self._core.reporter.denied(principal, "leave a will on", connect.will.topic)
            self.refuse(packets.NOT_AUTHORIZED)
            return
        session, was_present = self._core.attach(principal, connect, self._outlet)
        self._session = session
        self._will = connect.will
        self._outlet.send(packets.encode_connack(packets.ACCEPTED, session_present=was_present))
        session.resume(self._outlet)
        self._outlet.release()

    def refuse(self, code: int) -> None:
        """Answer CONNECT with a refusal and close [MQTT-3.2.2-5]."""
        self._outlet.send(packets.encode_connack(code))
        self._outlet.close(f"refused: CONNACK {code}")

    def pump(self) -> None:
        """Send what waits, now that the peer takes more."""
        if self._session is not None:
            self._session.pump()

    def finish(self) -> None:
        """Handle what had come complete before the peer went away: received is kept."""
        if self._session is not None and not self._is_closed:
            self._is_finishing = True
            self.resume()

    def closed(self) -> None:
        """Leave the session: the connection is over."""
        self._is_closed = self._is_held = True
        self._partial.clear()
        if self._session is not None:
            self._core.detach(self._session, self._outlet, self._will)

    def _take(self, data: bytes) -> None:
        position, size = 0, len(data)
        self._needed = 0
        while position < size and not self._is_held:
            first = data[position]
            bounds = packets.frame_bounds(data, position, self._frame_limit(first))
            if bounds is None or bounds[1] > size:
                if bounds is not None:
                    self._needed = bounds[1] - position
                break
            start, end = bounds
            if first & 0xF0 == _PUBLISH_HEADER and self._session is not None:
                self._on_publish(self._session, first, data, start, end)
            else:
                self._dispatch(first, data[start:end])
            position = end
        if position < size and not self._is_closed:
            self._partial += data[position:]

    def _frame_limit(self, first: int) -> int:
        if self._session is not None:
            return self._limits.packet_bytes_max
        if first != packets.CONNECT << 4:
            raise MalformedPacketError("the first packet is not CONNECT [MQTT-3.1.0-1]")
        return self._limits.connect_bytes_max

    def _on_publish(self, session: Session, first: int, data: bytes, start: int, end: int) -> None:
        """Handle the PUBLISH between `start` and `end`: cut where it lies, it is the busy path."""
        qos = first >> 1 & 3
        topic_start = start + 2
        topic_end = (
            topic_start + (data[start] << 8 | data[start + 1]) if topic_start <= end else end
        )
        payload_start = topic_end + 2 if qos else topic_end
        if payload_start > end or topic_start > end or qos == 3 or (qos == 0 and first & 8):
            raise MalformedPacketError("PUBLISH is cut short, or QoS and DUP contradict")
        packet_id = packets.decode_packet_id(data[topic_end:payload_start]) if qos else 0
        raw_topic = data[topic_start:topic_end]
        route = self._routes.get(raw_topic) or self._new_route(session.principal, raw_topic)
        self._core.tally.received += 1
        if qos == 2 and not self._is_first_time(session, packet_id):
            return
        if not route.is_allowed:
            self._deny(session.principal, route.topic)
        else:
            payload = data[payload_start:end]
            self._core.route(route.topic, payload, qos, session.principal, retain=bool(first & 1))
            if route.is_telemetry:
                reading = DeviceMessage(session.principal.name, route.topic, payload)
                self._intake.hand_over(session, reading, qos, packet_id)
                self._hold_if_behind()
                return
        if qos == 1:
            self._acknowledgements.send_in_turn(packets.encode_ack(packets.PUBACK, packet_id))
        elif qos == 2:
            session.received[packet_id] = True
            self._acknowledgements.send_in_turn(packets.encode_ack(packets.PUBREC, packet_id))
        self._hold_if_behind()

    def _new_route(self, principal: Principal, raw_topic: bytes) -> _Route:
        topic = decode_topic_name(raw_topic)
        is_allowed = access.may_publish(principal, topic)
        route = _Route(topic, is_allowed, is_allowed and access.is_telemetry(principal, topic))
        if len(self._routes) >= _ROUTES_MAX:
            self._routes.clear()
        self._routes[raw_topic] = route
        return route

    def _is_first_time(self, session: Session, packet_id: int) -> bool:
        """Tell whether a QoS 2 message is new; one seen before gets its PUBREC again at most."""
        if packet_id not in session.received:
            if len(session.received) >= RECEIVE_QOS2_MAX:
                raise MalformedPacketError("too many QoS 2 messages await their PUBREL")
            return True
        if session.received[packet_id]:
            self._acknowledgements.send_in_turn(packets.encode_ack(packets.PUBREC, packet_id))
        return False

    def _deny(self, principal: Principal, topic: str) -> None:
        """Drop the message; it is still acknowledged [MQTT-3.3.5-2]. `$` topics are dropped quietly."""
        self._core.tally.denied += 1
        if not topic.startswith("$"):
            self._core.reporter.denied(principal, "publish to", topic)

    def _hold_if_behind(self) -> None:
        if self._intake.is_behind() and not self._is_finishing:
            self._is_held = True
            self._outlet.hold()

    def _on_caught_up(self) -> None:
        if self._is_held and not self._is_closed:
            self._outlet.release()

    def _dispatch(self, first: int, body: bytes) -> None:
        """Handle any packet but PUBLISH."""
        kind = first >> 4
        if first & 15 != packets.REQUIRED_FLAGS.get(kind, 0):
            raise MalformedPacketError("wrong flags in a fixed header [MQTT-2.2.2-2]")
        session = self._session
        if session is None:
            self._on_connect(packets.decode_connect(body))
            return
        match kind:
            case packets.PUBACK | packets.PUBREC | packets.PUBREL | packets.PUBCOMP:
                self._on_acknowledgement(session, kind, packets.decode_packet_id(body))
            case packets.SUBSCRIBE:
                self._on_subscribe(session, body)
            case packets.UNSUBSCRIBE:
                self._on_unsubscribe(session, body)
            case packets.PINGREQ if not body:
                self._outlet.send(packets.PINGRESP)
            case packets.DISCONNECT if not body:
                self._will = None  # [MQTT-3.14.4-3]
                self._outlet.close("the client disconnected")
            case _:
                raise MalformedPacketError(f"packet type {kind} is not for a server, or has a body")

    def _on_connect(self, connect: Connect) -> None:
        if connect.level != packets.PROTOCOL_LEVEL:
            self.refuse(packets.BAD_PROTOCOL_LEVEL)  # [MQTT-3.1.2-2]
        elif len(connect.client_id.encode()) > CLIENT_ID_BYTES_MAX or not (
            connect.client_id or connect.is_clean
        ):
            self.refuse(packets.IDENTIFIER_REJECTED)  # [MQTT-3.1.3-8]
        else:
            if not connect.client_id:
                connect = msgspec.structs.replace(connect, client_id=self._core.new_client_id())
            self._connect = connect
            self._is_held = True
            self._outlet.hold()
            self._outlet.authenticate(connect)

    def _on_acknowledgement(self, session: Session, kind: int, packet_id: int) -> None:
        match kind:
            case packets.PUBACK:
                session.acknowledge(packet_id)
            case packets.PUBREC:
                session.release(packet_id)
            case packets.PUBCOMP:
                session.complete(packet_id)
            case _:
                if session.received.get(packet_id) is False:
                    raise MalformedPacketError("PUBREL before its PUBREC")
                session.received.pop(packet_id, None)
                self._outlet.send(packets.encode_ack(packets.PUBCOMP, packet_id))

    def _on_subscribe(self, session: Session, body: bytes) -> None:
        packet_id, asked = packets.decode_subscribe(body, self._limits.subscriptions_max)
        granted = [self._core.subscribe(session, name, qos) for name, qos in asked]
        self._outlet.send(packets.encode_suback(packet_id, granted))
        distinct = {
            topic_filter: qos
            for (topic_filter, _), qos in zip(asked, granted, strict=True)
            if qos != packets.SUBSCRIPTION_REFUSED
        }
        if not self._is_finishing:  # one that went away gets nothing more
            for topic_filter, qos in distinct.items():
                self._core.replay_retained(session, topic_filter, qos)
            self._let_others_go()

    def _on_unsubscribe(self, session: Session, body: bytes) -> None:
        packet_id, filters = packets.decode_unsubscribe(body, self._limits.subscriptions_max)
        for topic_filter in filters:
            self._core.unsubscribe(session, topic_filter)
        self._outlet.send(packets.encode_unsuback(packet_id))

    def _let_others_go(self) -> None:
        """Go on in a later turn: a row of small packets that cost much starves nobody."""
        if not self._is_closed:
            self._is_held = True
            self._outlet.hold()
            self._outlet.release()
