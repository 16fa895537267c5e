"""The lines that health shows when the broker is asked for too much."""

import msgspec

from gateway.broker.overload import BrokerLoad, OverloadWatch

CALM = BrokerLoad(
    connections=3,
    connections_max=10,
    refused_connections=5,
    dropped=7,
    held_bytes=0,
    held_bytes_max=64 << 20,
    largest="",
    slow=0,
    waiting=0,
)


def test_what_happened_before_is_no_problem():
    assert OverloadWatch().problems(CALM, 0) == ()


def test_a_problem_is_told_for_a_minute():
    watch = OverloadWatch()
    watch.problems(CALM, 0)
    worse = msgspec.structs.replace(CALM, refused_connections=6, dropped=9, largest="'a' ('c')")

    assert watch.problems(worse, 1_000) == (
        "MQTT: 1 connections were refused in the last minute (3 of 10 are open)",
        "MQTT: 2 messages were dropped in the last minute, for clients that read too slowly or "
        "beyond a limit; most for 'a' ('c')",
    )
    assert len(watch.problems(worse, 60_000)) == 2
    assert watch.problems(worse, 62_000) == ()


def test_what_waits_for_clients_and_for_the_disk():
    load = msgspec.structs.replace(
        CALM, held_bytes=40 << 20, largest="'a' ('c')", slow=2, waiting=4
    )

    assert OverloadWatch().problems(load, 0) == (
        "MQTT: 40 of 64 MiB wait for clients; most for 'a' ('c'); 2 of them do not read",
        "MQTT: readings come faster than the disk takes them: 4 connections wait",
    )
