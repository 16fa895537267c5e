"""Token buckets: a burst, then the rate; debts are waited off; strangers cannot fill the memory."""

from gateway.broker.rates import DeviceRates, RateLimits
from gateway.broker.settings import BrokerSettings
from gateway.model.principal import Principal, PrincipalKind

S = 1_000_000_000


def test_after_a_burst_the_rate_holds():
    rates = RateLimits(per_s=2, burst=5)
    assert [rates.take("a", 1, 0) for _ in range(6)] == [True] * 5 + [False]
    assert [rates.take("a", 1, S) for _ in range(3)] == [True, True, False]
    assert rates.take("b", 1, S), "another name has its own"


def test_no_more_than_the_burst_is_ever_regained():
    rates = RateLimits(per_s=2, burst=5)
    rates.take("a", 5, 0)
    assert [rates.take("a", 1, 1_000 * S) for _ in range(6)] == [True] * 5 + [False]


def test_a_debt_is_waited_off():
    rates = RateLimits(per_s=10, burst=5)
    assert rates.spend("a", 5, 0) == 0.0
    assert rates.spend("a", 20, 0) == 2.0
    assert rates.spend("a", 0, 1 * S) == 1.0
    assert rates.spend("a", 0, 2 * S) == 0.0


def test_a_rate_of_0_sets_no_limit():
    rates = RateLimits(per_s=0, burst=0)
    assert rates.take("a", 1_000, 0)
    assert rates.spend("a", 1_000, 0) == 0.0


def test_names_without_end_cost_no_memory_without_end():
    rates = RateLimits(per_s=1, burst=1)
    for number in range(10_000):
        rates.take(str(number), 1, number)
    assert len(rates._buckets) <= 4_096


def test_devices_are_limited_and_services_are_not():
    rates = DeviceRates(
        BrokerSettings("gw1", connects_per_s_per_device=1, connects_burst_per_device=1)
    )
    device = Principal("meter", PrincipalKind.DEVICE, (), ())
    service = Principal("_ledger", PrincipalKind.SERVICE, (), ())

    assert [rates.may_connect(device, 0) for _ in range(2)] == [True, False]
    assert [rates.may_connect(service, 0) for _ in range(2)] == [True, True]


def test_messages_and_bytes_both_count():
    rates = DeviceRates(
        BrokerSettings(
            "gw1",
            messages_per_s_per_device=10,
            messages_burst_per_device=10,
            bytes_per_s_per_device=1_000,
            bytes_burst_per_device=1_000,
        )
    )
    assert rates.spend("a", 10, 10, 0) == 0
    assert rates.spend("a", 10, 10, 0) == 1.0
    assert rates.spend("b", 1, 3_000, 0) == 2.0


def test_a_connection_may_collect_a_hundredth_of_a_burst_before_it_counts():
    rates = DeviceRates(
        BrokerSettings("gw1", messages_burst_per_device=1_000, bytes_burst_per_device=50)
    )
    assert (rates.uncounted_messages_max, rates.uncounted_bytes_max) == (10, 1)


def test_who_was_slowed_down_is_known_for_a_minute():
    rates = DeviceRates(
        BrokerSettings("gw1", messages_per_s_per_device=10, messages_burst_per_device=5)
    )
    rates.spend("calm", 1, 1, 0)
    rates.spend("plug", 50, 1, 0)
    rates.spend("meter", 50, 1, 0)
    rates.spend("meter", 0, 0, 1 * S)  # it still owes
    rates.spend("plug", 50, 1, 30 * S)

    assert rates.slowed(30 * S) == ("meter", "plug")
    assert rates.slowed(62 * S) == ("plug",)
    assert rates.slowed(91 * S) == ()


def test_slowing_down_without_end_costs_no_memory_without_end():
    rates = DeviceRates(
        BrokerSettings("gw1", messages_per_s_per_device=10, messages_burst_per_device=5)
    )
    for number in range(5_000):
        rates.spend(str(number), 50, 1, number)
    assert len(rates.slowed(5_000)) == 4_096
