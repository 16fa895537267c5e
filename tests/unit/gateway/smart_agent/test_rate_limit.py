from gateway.smart_agent.rate_limit import RateLimit

SECOND = 1_000_000_000


def test_a_burst_and_then_the_steady_rate():
    limit = RateLimit(interval_ns=SECOND // 6, burst=18)

    assert [limit.admit(SECOND) for _ in range(20)] == [True] * 18 + [False] * 2
    admitted = sum(limit.admit(SECOND + ms * 1_000_000) for ms in range(10_000))
    assert 59 <= admitted <= 60


def test_what_is_refused_costs_nothing():
    limit = RateLimit(interval_ns=SECOND, burst=1)
    assert limit.admit(0)
    assert not any(limit.admit(1) for _ in range(1000))
    assert limit.admit(SECOND)


def test_a_long_silence_saves_up_no_more_than_the_burst():
    limit = RateLimit(interval_ns=SECOND // 6, burst=18)
    assert sum(limit.admit(3_600 * SECOND) for _ in range(100)) == 18
