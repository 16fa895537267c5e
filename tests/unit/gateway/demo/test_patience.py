"""How long the demonstration waits for an answer of a process that is starting."""

import pytest

from gateway.demo.patience import PATIENCE_S, compute_ask_timeout_s


def test_a_lost_request_costs_little_and_a_slow_machine_gets_its_time():
    assert compute_ask_timeout_s(0) == compute_ask_timeout_s(9) == 1.0
    assert compute_ask_timeout_s(60) == pytest.approx(6.0)
    assert compute_ask_timeout_s(PATIENCE_S) < PATIENCE_S / 5
