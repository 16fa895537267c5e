"""The ledger's side of a call: a worker is not believed."""

import pytest

from edge_contracts.host_desk import HostDesk, describe_reading
from edge_contracts.manifest import parse_manifest
from edge_contracts.memory_host import MemoryHost
from edge_contracts.messages import HostReply, HostRequest
from edge_contracts.values import encode_value
from ledger.types.reading import ClockStatus, Quantity, Reading
from tests.support.contract_calls import CALLER, MANIFEST

READING = Reading(
    device_id=bytes(32),
    sequence=4,
    profile_hash=b"\x07" * 32,
    source_time_ms=None,
    gateway_time_ms=99,
    clock=ClockStatus.UNSYNCHRONISED,
    quantities=(Quantity("power", 5, -1, "W"), Quantity("energy", None, 0, "Wh")),
    salt=bytes(16),
)


def desk(host: MemoryHost, *, is_query: bool = False) -> HostDesk:
    return HostDesk(host, parse_manifest(MANIFEST), is_query=is_query)


def test_requests_reach_the_host():
    host = MemoryHost(held=10)
    served = desk(host)

    assert served.serve(HostRequest("set", b"k", b"\x05")) == HostReply()
    assert served.serve(HostRequest("get", b"k")) == HostReply(data=b"\x05")
    assert served.serve(HostRequest("get", b"other")) == HostReply()
    assert served.serve(HostRequest("pay", CALLER, None, 4)) == HostReply()
    assert served.serve(HostRequest("balance")) == HostReply(amount=6)
    assert served.serve(HostRequest("set", b"k")) == HostReply()
    assert host.storage == {}
    assert host.paid == {CALLER: 4}


def test_events_take_the_manifests_form():
    host = MemoryHost()

    desk(host).serve(HostRequest("emit", b"noted", encode_value({"value": [1]})))

    assert host.events == [("noted", encode_value({"value": [1]}))]


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (HostRequest("set", b"k", b"\xd0\x01"), "canonical"),
        (HostRequest("set", b"k", b"\xcb" + bytes(8)), "float"),
        (HostRequest("set", b"k", encode_value([b"x" * 60_000]) + b"\x00" * 6_000), "bytes"),
        (HostRequest("emit", b"noted", encode_value({"other": 1})), "event noted.other"),
        (HostRequest("emit", b"noted"), "not MessagePack"),
        (HostRequest("emit", b"other", encode_value({})), "'other' is not in the manifest"),
        (HostRequest("emit", b"\xff", encode_value({})), "is not in the manifest"),
        (HostRequest("emit", b"noted", encode_value({"value": b"x" * 5_000})), "4096"),
        (HostRequest("pay", CALLER, None, 1), "the contract holds 0"),
        (HostRequest("pay", CALLER, None, -1), "payment of -1"),
        (HostRequest("reading", data=b"\x01"), "reading is not a record"),
        (HostRequest("reading"), "not MessagePack"),
        (HostRequest("test", b"deploy", b"\x80"), "no such function"),
        (HostRequest("open", b"/etc/passwd"), "no such function"),
    ],
)
def test_what_does_not_fit_is_refused(request_, reason):
    host = MemoryHost()

    reply = desk(host).serve(request_)

    assert reason in str(reply.refused)
    assert host == MemoryHost()


def test_the_events_of_a_call_are_bounded_together():
    host = MemoryHost()
    served = desk(host)
    event = HostRequest("emit", b"noted", encode_value({"value": "x" * 4_050}))

    refused = [reply.refused for reply in (served.serve(event) for _ in range(17)) if reply.refused]

    assert set(refused) == {"the events of a call have at most 65536 bytes in all"}
    assert served.event_bytes == len(host.events) * (32 + 5 + len(host.events[0][1]))
    assert len(host.events) == 15


@pytest.mark.parametrize("operation", ["set", "pay", "emit"])
def test_a_query_changes_nothing(operation):
    reply = desk(MemoryHost(held=9), is_query=True).serve(
        HostRequest(operation, b"noted", encode_value({"value": 1}), 1)
    )

    assert reply.refused == "a query changes nothing"


def test_a_reading_as_contracts_see_it():
    assert describe_reading(READING) == {
        "device": bytes(32),
        "profile": b"\x07" * 32,
        "sequence": 4,
        "time_ms": 99,
        "clock": "unsynchronised",
        "quantities": {
            "power": {"value": 5, "scale": -1, "unit": "W"},
            "energy": {"scale": 0, "unit": "Wh"},
        },
    }
