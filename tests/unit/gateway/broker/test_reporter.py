"""Refusals are told to the device each time, and to the log once a minute."""

import logging

import msgspec
import pytest

from gateway.broker.codec.reasons import Reason
from gateway.broker.reporter import RefusalReporter
from gateway.errors import Rejected, RejectReason
from gateway.model.principal import Principal, PrincipalKind
from ledger.types.reading import ClockStatus

METER = Principal("meter", PrincipalKind.DEVICE, (), ())
REFUSAL = Rejected(RejectReason.MALFORMED, "not JSON")


class ManualClock:
    now_ns = 0

    def now_ms(self) -> int:
        return 0

    def monotonic_ns(self) -> int:
        return self.now_ns

    def status(self) -> ClockStatus:
        return ClockStatus.SYNCHRONISED

    def is_synchronised(self) -> bool:
        return True


def test_the_device_learns_the_reason():
    published: list[tuple[str, bytes]] = []
    reporter = RefusalReporter("gw1", lambda t, p: published.append((t, p)), ManualClock())

    reporter.rejected(METER, "ss/v1/gw1/dev/meter/up", REFUSAL)

    [(topic, payload)] = published
    assert topic == "ss/v1/gw1/dev/meter/rejected"
    assert msgspec.json.decode(payload) == {
        "reason": "malformed",
        "detail": "not JSON",
        "topic": "ss/v1/gw1/dev/meter/up",
    }


def test_a_name_that_cannot_be_a_topic_level_gets_no_topic():
    published: list[tuple[str, bytes]] = []
    reporter = RefusalReporter("gw1", lambda t, p: published.append((t, p)), ManualClock())

    reporter.rejected(Principal("a/#", PrincipalKind.DEVICE, (), ()), "t", REFUSAL)

    assert published == []


def test_the_log_has_one_line_a_minute_and_the_number_left_out(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.WARNING)
    clock = ManualClock()
    reporter = RefusalReporter("gw1", lambda topic, payload: None, clock)

    for _ in range(1_000):
        reporter.rejected(METER, "t", REFUSAL)
    assert len(caplog.messages) == 1

    clock.now_ns = 60 * 10**9
    reporter.denied(METER, "publish to", "evil\ntopic")
    assert len(caplog.messages) == 2
    assert "999 more" in caplog.messages[1]
    assert "\n" not in caplog.messages[1]


def test_refused_connections_share_one_line_a_minute(caplog: pytest.LogCaptureFixture):
    clock = ManualClock()
    reporter = RefusalReporter("gw1", lambda topic, payload: None, clock)

    for number in range(1_000):
        reporter.refused(f"10.0.0.{number}", Reason.NOT_AUTHORIZED)
    clock.now_ns = 60 * 10**9
    reporter.refused("10.0.0.7", Reason.NOT_AUTHORIZED)

    assert len(caplog.messages) == 2
    assert "from 10.0.0.7" in caplog.messages[1]
    assert "999 more" in caplog.messages[1]
