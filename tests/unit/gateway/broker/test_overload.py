"""The lines that health shows when the broker is asked for too much."""

import msgspec

from gateway.broker.overload import BrokerLoad, OverloadWatch
from gateway.health import Overload

BEFORE = Overload(refused_connections=5, dropped=7, cut_off=2)
CALM = BrokerLoad(
    overload=BEFORE,
    connections=3,
    connections_max=10,
    held_bytes=0,
    held_bytes_max=64 << 20,
    largest="",
    slow=0,
)


def after(**changes: object) -> BrokerLoad:
    return msgspec.structs.replace(CALM, overload=msgspec.structs.replace(BEFORE, **changes))


def test_what_happened_before_is_no_problem():
    assert OverloadWatch().problems(CALM, 0) == ()


def test_a_problem_is_told_for_a_minute():
    watch = OverloadWatch()
    watch.problems(CALM, 0)
    worse = msgspec.structs.replace(
        after(refused_connections=6, dropped=9, cut_off=4), largest="'a' ('c')"
    )

    assert watch.problems(worse, 1_000) == (
        "MQTT: 1 connections were refused in the last minute (3 of 10 are open)",
        "MQTT: 2 messages were dropped in the last minute, for clients that read too slowly or "
        "beyond a limit; most for 'a' ('c')",
        "MQTT: 2 clients were cut off in the last minute: they did not read",
    )
    assert len(watch.problems(worse, 60_000)) == 3
    assert watch.problems(worse, 62_000) == ()


def test_what_waits_for_clients_and_for_the_disk():
    load = msgspec.structs.replace(
        after(waiting=4), held_bytes=40 << 20, largest="'a' ('c')", slow=2
    )

    assert OverloadWatch().problems(load, 0) == (
        "MQTT: 40 of 64 MiB wait for clients; most for 'a' ('c'); 2 of them do not read",
        "MQTT: readings come faster than the disk takes them: 4 connections wait",
    )


def test_who_is_slowed_down_is_named_as_far_as_there_is_room():
    load = after(throttled=("meter", "plug"), throttled_count=5)

    assert OverloadWatch().problems(load, 0) == (
        "MQTT: devices send more than they may and are slowed down: meter, plug and 3 more",
    )
