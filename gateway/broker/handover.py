"""Readings of one connection at the sink: counted, and acknowledged when they are on disk.

Rule 1: a refused reading is acknowledged too: MQTT 3.1.1 has no other answer, MQTT 5 tells why. A
poison message must not be sent again for ever.
Rule 2: where the store failed nothing is acknowledged: the connection is closed, and the device
sends the message again.
"""

from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import Protocol

from gateway.broker.answers import Answer, AnswerQueue
from gateway.broker.codec.reasons import Reason
from gateway.broker.codec.version import Version
from gateway.broker.codec.wire import PUBACK, PUBREC
from gateway.broker.core import BrokerCore
from gateway.broker.message import Message
from gateway.broker.session.driver import Session
from gateway.broker.session.outlet import Outlet
from gateway.errors import Rejected, RejectReason
from gateway.ports import DeviceMessages, StoreNote

_STORE_FAILURES = (RejectReason.STORE_FAILED, RejectReason.OVERLOADED)
_REASONS = {
    RejectReason.MALFORMED: Reason.PAYLOAD_FORMAT_INVALID,
    RejectReason.NO_QUANTITIES: Reason.PAYLOAD_FORMAT_INVALID,
    RejectReason.TOO_LARGE: Reason.QUOTA_EXCEEDED,
    RejectReason.UNKNOWN_DEVICE: Reason.NOT_AUTHORIZED,
    RejectReason.UNKNOWN_TOPIC: Reason.TOPIC_NAME_INVALID,
}


class HandoverLink(Outlet, Protocol):
    """What the handover asks of its link, beside what a session does."""

    def send_now(self, data: bytes) -> None:
        """Send to the peer, not only at the end of the turn."""
        ...

    def caught_up(self) -> None:
        """Go on reading, after `Handover.is_behind` told to stop."""
        ...


class Handover:
    """The `TelemetrySource` of one connection, and the order of all its acknowledgements."""

    def __init__(
        self, core: BrokerCore, link: HandoverLink, session: Session, version: Version
    ) -> None:
        self.answers = AnswerQueue(link.send_now, self._refuse_plain)
        self._places = self.answers.places
        self._core = core
        self._link = link
        self._session = session
        self._version = version
        self._accept = core.sink.accept
        self._device = session.principal.name
        self._share = core.pending
        self._share.enter()
        # What is not settled, the oldest first, but for `_settled` readings of the first item. Each
        # reading has a place among the answers.
        self._unsettled: deque[tuple[str, int, int]] = deque()  # topic, readings, their bytes
        self._settled = 0
        self._bytes = 0  # of `_unsettled`
        self.was_behind = False

    def is_behind(self) -> bool:
        """Tell whether the connection must wait; if so, `caught_up` follows."""
        share = self._share
        if len(self._places) < share.messages_max and self._bytes < share.bytes_max:
            return False
        self.was_behind = True
        return True

    def room(self, size: int, wanted: int) -> int:
        """Return how many of the `wanted` readings of `size` bytes may be taken before it must wait.

        At least 1; `wanted` is too.
        """
        share = self._share
        messages_left = share.messages_max - len(self._places)
        bytes_left = share.bytes_max - self._bytes
        if wanted <= messages_left and wanted * size <= bytes_left:
            return wanted
        return max(1, min(wanted, messages_left, -(-bytes_left // (size or 1))))

    def closed(self) -> None:
        """Give the share back: the connection is over."""
        self._share.leave()

    def take(
        self,
        topic: str,
        payloads: Sequence[bytes],
        size: int,
        packets: Sequence[bytes],
        note: StoreNote | None = None,
    ) -> None:
        """Give the sink readings; each of `packets` leaves once its own is settled, b"" for QoS 0.

        There are none where the readings have places already. `size` is the payloads' bytes together.
        """
        self._places.extend(packets)
        self._unsettled.append((topic, len(payloads), size))
        self._bytes += size
        self._accept((DeviceMessages(self, self._device, topic, payloads, note),))

    def take_kept(self, topic: str, payload: bytes, packet_id: int) -> None:
        """Give the sink a reading of QoS 1 that kept sessions get too, or that is retained."""
        self.answers.expect(_KeptReading(self, packet_id))
        self.take(topic, (payload,), len(payload), ())

    def take_once(self, message: Message, packet_id: int) -> None:
        """Give the sink a reading of QoS 2; subscribers get it when it is stored."""
        reading = _OnceReading(self, message, packet_id)
        self.answers.expect(reading)
        if self._session.is_noted(packet_id):  # stored before the process was killed
            reading.is_unsettled = False
            self.pass_on_once(message, packet_id, reading)
            return
        note = partial(self._session.note, packet_id) if self._core.exchanges.has_store else None
        self.take(message.topic, (message.payload,), len(message.payload), (), note)

    def settled(self, count: int) -> None:
        """The sink has the oldest `count` readings."""
        self._release(count)
        self.answers.settle(count)
        if self.was_behind:
            self._catch_up()

    def refused(self, refusal: Rejected) -> None:
        """The sink does not take the oldest reading."""
        topic, _, _ = self._unsettled[0]
        self._release(1)
        self._core.tally.rejected += 1
        self._core.reporter.rejected(self._session.principal, topic, refusal)
        self.answers.refuse(refusal)
        self._catch_up()

    def after_commit(self, answer: Answer) -> None:
        """Let an answer go in its turn once all that is recorded is on disk."""
        self._core.recorder.after_commit(partial(self._on_committed, answer))

    def receipt(self, packet_id: int) -> None:
        """Acknowledge a QoS 2 message that was passed on before, perhaps not on disk yet."""
        answer = Answer(self.encode_success(PUBREC, packet_id))
        self.answers.expect(answer)
        self.after_commit(answer)

    def complete_once(self, packet_id: int, answer: Answer) -> None:
        """Acknowledge a QoS 2 message, on the connection that its client has by then."""
        self._session.passed_on(packet_id)
        self._core.recorder.after_commit(partial(self._on_complete, packet_id, answer))

    def pass_on_once(self, message: Message, packet_id: int, answer: Answer) -> None:
        """Route a QoS 2 reading that is settled, and acknowledge it."""
        core, session = self._core, self._session
        before = core.deliveries, core.recorder.count
        core.route(message, session.principal, session)
        is_given = (core.deliveries, core.recorder.count) != before
        if is_given or not session.is_noted(packet_id):
            self.complete_once(packet_id, answer)
        else:
            session.stored(packet_id)
            self._on_complete(packet_id, answer, None)

    def refuse_once(
        self, message: Message, packet_id: int, refusal: Rejected, answer: Answer
    ) -> None:
        """Answer a QoS 2 reading that is not stored."""
        if refusal.reason in _STORE_FAILURES:
            self._session.give_back(packet_id)
            self.fail(refusal)
        elif self._version.has_reasons:  # a failure ends the exchange (MQTT 5 section 4.3.3)
            self._core.route(message, self._session.principal, self._session)
            self._session.give_back(packet_id)
            answer.packet = self.encode_refusal(PUBREC, packet_id, refusal)
            self.answers.fulfil(answer)
        else:
            self.pass_on_once(message, packet_id, answer)

    def refuse_kept(self, packet_id: int, refusal: Rejected, answer: Answer) -> None:
        """Answer a QoS 1 reading that is not stored."""
        if refusal.reason in _STORE_FAILURES:
            self.fail(refusal)
        else:
            answer.packet = self.encode_refusal(PUBACK, packet_id, refusal)
            self.after_commit(answer)

    def encode_refusal(self, kind: int, packet_id: int, refusal: Rejected) -> bytes:
        """Encode the answer to a reading that is not stored."""
        reason = _REASONS.get(refusal.reason, Reason.UNSPECIFIED_ERROR)
        return self._version.encode_ack(kind, packet_id, reason, refusal.detail)

    def encode_success(self, kind: int, packet_id: int) -> bytes:
        """Encode an acknowledgement."""
        return self._version.encode_ack(kind, packet_id, Reason.SUCCESS)

    def fail(self, refusal: Rejected) -> None:
        """Close the connection, so that what is not acknowledged is sent again."""
        self._link.close(f"a reading was not stored ({refusal.detail})", Reason.SERVER_BUSY)

    def _release(self, count: int) -> None:
        unsettled = self._unsettled
        settled = self._settled + count
        while settled and settled >= unsettled[0][1]:
            _, readings, size = unsettled.popleft()
            settled -= readings
            self._bytes -= size
        self._settled = settled

    def _catch_up(self) -> None:
        share = self._share
        # At half of what may be pending, so that reading does not stop and go for every message.
        if (
            self.was_behind
            and len(self._places) <= share.messages_max // 2
            and self._bytes <= share.bytes_max // 2
        ):
            self.was_behind = False
            self._link.caught_up()

    def _refuse_plain(self, packet: bytes, refusal: Rejected) -> bytes:
        if refusal.reason in _STORE_FAILURES:
            self.fail(refusal)
            return b""
        return self.encode_refusal(PUBACK, int.from_bytes(packet[2:4], "big"), refusal)

    def _on_committed(self, answer: Answer, failure: str | None) -> None:
        if failure is None:
            self.answers.fulfil(answer)
            self._catch_up()
        else:
            self._link.close(failure, Reason.SERVER_BUSY)

    def _on_complete(self, packet_id: int, answer: Answer, failure: str | None) -> None:
        outlet = self._session.outlet
        if failure is None and outlet is not None and outlet is not self._link:
            # The client came back meanwhile: the old connection's queue leads nowhere.
            outlet.send_receipt(packet_id)
        self._on_committed(answer, failure)


class _KeptReading(Answer):
    """A reading of QoS 1 that must be in the store and in the journal."""

    __slots__ = ("_handover", "_packet_id")

    def __init__(self, handover: Handover, packet_id: int) -> None:
        super().__init__(handover.encode_success(PUBACK, packet_id), is_unsettled=True)
        self._handover = handover
        self._packet_id = packet_id

    def on_settled(self) -> None:
        self._handover.after_commit(self)

    def on_refused(self, refusal: Rejected) -> None:
        self._handover.refuse_kept(self._packet_id, refusal, self)


class _OnceReading(Answer):
    """A reading of QoS 2."""

    __slots__ = ("_handover", "_message", "_packet_id")

    def __init__(self, handover: Handover, message: Message, packet_id: int) -> None:
        super().__init__(handover.encode_success(PUBREC, packet_id), is_unsettled=True)
        self._handover = handover
        self._message = message
        self._packet_id = packet_id

    def on_settled(self) -> None:
        self._handover.pass_on_once(self._message, self._packet_id, self)

    def on_refused(self, refusal: Rejected) -> None:
        self._handover.refuse_once(self._message, self._packet_id, refusal, self)
