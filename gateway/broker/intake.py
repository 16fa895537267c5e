"""Readings of one connection on their way to disk: counted, and acknowledged when they are there.

A refused reading is acknowledged too, because MQTT 3.1.1 has no other answer and a poison message
must not be sent again for ever. Only where the store failed is nothing acknowledged: the
connection is closed, and the device sends the message again.
"""

from collections.abc import Callable

from gateway.broker import packets
from gateway.broker.acknowledgements import AcknowledgementQueue, Place
from gateway.broker.core import BrokerCore
from gateway.broker.session import Outlet, Session
from gateway.errors import Rejected, RejectReason
from gateway.model.observation import DeviceMessage

_STORE_FAILURES = (RejectReason.STORE_FAILED, RejectReason.OVERLOADED)


class Intake:
    """Hands readings to the sink; tells when it owes this connection too much, and when no longer."""

    def __init__(
        self,
        core: BrokerCore,
        outlet: Outlet,
        acknowledgements: AcknowledgementQueue,
        on_caught_up: Callable[[], None],
    ) -> None:
        self.core = core
        self.outlet = outlet
        self.acknowledgements = acknowledgements
        self._on_caught_up = on_caught_up
        self._messages_max = core.limits.pending_messages_max
        self._bytes_max = core.limits.pending_bytes_max
        self._messages = 0
        self._bytes = 0
        self._was_behind = False

    def is_behind(self) -> bool:
        """Tell whether the connection must wait; if so, `on_caught_up` follows."""
        if (
            self._messages < self._messages_max
            and self._bytes < self._bytes_max
            and len(self.acknowledgements) < self._messages_max
        ):
            return False
        self._was_behind = True
        return True

    def hand_over(self, session: Session, reading: DeviceMessage, qos: int, packet_id: int) -> None:
        """Give the sink one reading; `packet_id` is acknowledged after it is on disk."""
        self._messages += 1
        self._bytes += len(reading.payload)
        handover = _Handover(self, session, reading, qos, packet_id)
        self.core.sink.accept(handover, reading.device, reading.topic, reading.payload)

    def settle(self, size: int) -> None:
        """Note that one reading of `size` bytes is no longer pending."""
        self._messages -= 1
        self._bytes -= size
        # At half of what may be pending, so that reading does not stop and go for every message.
        if (
            self._was_behind
            and self._messages <= self._messages_max // 2
            and self._bytes <= self._bytes_max // 2
        ):
            self._was_behind = False
            self._on_caught_up()


class _Handover(Place):
    """One reading at the sink, and the place of its acknowledgement."""

    __slots__ = ("_intake", "_packet_id", "_qos", "_reading", "_session")

    def __init__(
        self, intake: Intake, session: Session, reading: DeviceMessage, qos: int, packet_id: int
    ) -> None:
        self._intake = intake
        self._session = session
        self._reading = reading
        self._qos = qos
        self._packet_id = packet_id
        self.is_ready = False
        if qos:
            kind = packets.PUBACK if qos == 1 else packets.PUBREC
            self.packet = packets.encode_ack(kind, packet_id)
            intake.acknowledgements.expect(self)
            if qos == 2:
                session.received[packet_id] = False

    def settled(self, count: int) -> None:
        """Take the sink's answer: the reading is on disk."""
        assert count == 1
        self._finish(None)

    def refused(self, refusal: Rejected) -> None:
        """Take the sink's answer: the reading is not stored."""
        self._finish(refusal)

    def _finish(self, refusal: Rejected | None) -> None:
        intake = self._intake
        if refusal is not None:
            intake.core.tally.rejected += 1
            intake.core.reporter.rejected(self._session.principal, self._reading.topic, refusal)
        if refusal is not None and refusal.reason in _STORE_FAILURES:
            self._give_back(refusal)
        elif self._qos == 1:
            intake.acknowledgements.fulfil(self)
        elif self._qos == 2:
            self._complete()
        intake.settle(len(self._reading.payload))

    def _complete(self) -> None:
        session, intake = self._session, self._intake
        session.received[self._packet_id] = True
        if session.outlet not in (None, intake.outlet):
            # The client came back meanwhile: the old connection's queue leads nowhere.
            session.outlet.send(self.packet)
        intake.acknowledgements.fulfil(self)

    def _give_back(self, refusal: Rejected) -> None:
        if self._qos == 2:
            self._session.received.pop(self._packet_id, None)
        if self._qos:
            self._intake.outlet.close(f"a reading was not stored ({refusal.detail})")
