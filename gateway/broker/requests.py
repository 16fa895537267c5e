"""SUBSCRIBE and UNSUBSCRIBE of one connection, answered once what they promise is on disk."""

from functools import partial
from typing import Protocol

from gateway.broker.codec.reasons import Reason
from gateway.broker.codec.topic_rules import split_shared
from gateway.broker.codec.version import Version
from gateway.broker.core import BrokerCore
from gateway.broker.message import Subscription
from gateway.broker.ports import CommitDone
from gateway.broker.session.driver import Session

_PENDING_MAX = 100  # answers that wait for the disk: then no more is read
_REPLAYED_IF_NEW = 1  # retain handling (MQTT 5 section 3.8.3.1); 0 is always
_NEVER_REPLAYED = 2


class RequestLink(Protocol):
    """What the requests ask of their link."""

    @property
    def takes_more(self) -> bool:
        """Whether there is anybody to send to."""
        ...

    def send(self, data: bytes) -> None:
        """Send to the peer."""
        ...

    def close(self, text: str, reason: Reason) -> None:
        """End the connection."""
        ...

    def caught_up(self) -> None:
        """Go on reading, after `Requests.is_behind` told to stop."""
        ...


class Requests:
    """Answers requests; what is retained follows SUBACK."""

    def __init__(self, core: BrokerCore, link: RequestLink) -> None:
        self._core = core
        self._link = link
        self._pending = 0
        self._was_behind = False

    def is_behind(self) -> bool:
        """Tell whether too many answers wait for the disk; if so, `caught_up` follows."""
        if self._pending < _PENDING_MAX:
            return False
        self._was_behind = True
        return True

    def subscribe(self, session: Session, version: Version, body: bytes) -> None:
        """Answer SUBSCRIBE; a filter named often is answered each time and replayed once."""
        request = version.decode_subscribe(body, self._core.limits.filters_per_packet_max)
        results: list[int] = []
        replayed: dict[str, Subscription] = {}
        for topic_filter, asked in request.asked:
            is_new = topic_filter not in session.state.subscriptions
            result = self._core.subscribe(session, topic_filter, asked)
            results.append(result)
            if result < Reason.UNSPECIFIED_ERROR and _is_replayed(topic_filter, asked, is_new):
                replayed[topic_filter] = asked
        packet = version.encode_suback(request.packet_id, results)
        self._pending += 1
        self._when_on_disk(session, partial(self._subscribed, session, packet, replayed))

    def unsubscribe(self, session: Session, version: Version, body: bytes) -> None:
        """Answer UNSUBSCRIBE."""
        request = version.decode_unsubscribe(body, self._core.limits.filters_per_packet_max)
        results = [self._core.unsubscribe(session, one) for one in request.filters]
        packet = version.encode_unsuback(request.packet_id, results)
        self._pending += 1
        self._when_on_disk(session, partial(self._send, packet))

    def send_after_commit(self, packet: bytes) -> None:
        """Send a packet once all that was recorded is on disk."""
        self._pending += 1
        self._core.recorder.after_commit(partial(self._send, packet))

    def _when_on_disk(self, session: Session, done: CommitDone) -> None:
        """Call `done` when what the session promises is on disk; without any it waits for nobody's."""
        if session.state.is_kept:
            self._core.recorder.after_commit(done)
        else:
            done(None)

    def _subscribed(
        self,
        session: Session,
        packet: bytes,
        replayed: dict[str, Subscription],
        failure: str | None,
    ) -> None:
        self._send(packet, failure)
        if failure is None and self._link.takes_more:
            for topic_filter, asked in replayed.items():
                self._core.replay_retained(session, topic_filter, asked)

    def _send(self, packet: bytes, failure: str | None) -> None:
        self._pending -= 1
        if failure is None:
            self._link.send(packet)
            if self._was_behind and self._pending <= _PENDING_MAX // 2:
                self._was_behind = False
                self._link.caught_up()
        else:
            self._link.close(failure, Reason.SERVER_BUSY)


def _is_replayed(topic_filter: str, asked: Subscription, is_new: bool) -> bool:
    """Tell whether what is retained is sent; never for a shared subscription (section 4.8.2)."""
    if split_shared(topic_filter)[0] or asked.retain_handling == _NEVER_REPLAYED:
        return False
    return is_new or asked.retain_handling != _REPLAYED_IF_NEW
