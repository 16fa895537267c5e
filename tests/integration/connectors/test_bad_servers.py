"""Modbus servers that lie, stammer or sleep: each is named, none disturbs another connection."""

import asyncio
import contextlib
import logging
import socket
from itertools import pairwise

import msgspec
import pytest

from gateway.connectors.modbus.client import ONCE, ModbusClient
from gateway.errors import ConnectorError
from gateway.model.observation import Observation
from gateway.profiles.profile import Marker

pytestmark = [pytest.mark.integration]


def reply(request: bytes, pdu: bytes, *, transaction: int | None = None, unit: int | None = None):
    """Return a frame that answers `request` with `pdu`, or with a header that does not fit."""
    tid = int.from_bytes(request[:2], "big") if transaction is None else transaction
    unit_id = request[6] if unit is None else unit
    return (
        tid.to_bytes(2, "big")
        + b"\0\0"
        + (len(pdu) + 1).to_bytes(2, "big")
        + bytes([unit_id])
        + pdu
    )


def values(request: bytes, value: int | None = None) -> bytes:
    """Return the PDU of a right answer: every register holds `value`, or else its address."""
    first, count = int.from_bytes(request[8:10], "big"), int.from_bytes(request[10:12], "big")
    words = [value if value is not None else address for address in range(first, first + count)]
    return bytes([request[7], 2 * count]) + b"".join(word.to_bytes(2, "big") for word in words)


async def good(request, writer):
    writer.write(reply(request, values(request)))


async def wrong_transaction(request, writer):
    writer.write(reply(request, values(request), transaction=0xBEEF))


async def zero_transaction(request, writer):
    writer.write(reply(request, values(request), transaction=0))


async def wrong_unit(request, writer):
    writer.write(reply(request, values(request), unit=99))


async def no_such_register(request, writer):
    writer.write(reply(request, bytes([request[7] | 0x80, 2])))


async def unknown_exception(request, writer):
    writer.write(reply(request, bytes([request[7] | 0x80, 77])))


async def busy(request, writer):
    writer.write(reply(request, bytes([request[7] | 0x80, 6])))


async def other_function(request, writer):
    writer.write(reply(request, bytes([3 if request[7] == 4 else 4]) + values(request)[1:]))


async def unasked_function(request, writer):
    writer.write(reply(request, bytes([6, 0, 1, 0, 1])))


async def too_many_registers(request, writer):
    count = int.from_bytes(request[10:12], "big") + 1
    writer.write(reply(request, bytes([request[7], 2 * count]) + bytes(2 * count)))


async def lying_length(request, writer):
    writer.write(reply(request, bytes([request[7], 200, 0, 1])))


async def web_server(request, writer):
    writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")


async def flood(request, writer):
    writer.write(bytes(range(256)) * 400)


async def half_a_frame(request, writer):
    writer.write(reply(request, values(request))[:9])


async def hang_up(request, writer):
    writer.close()


async def silent(request, writer): ...


async def no_end(request, writer):
    writer.write(reply(request, values(request))[:-1])
    writer.close()


SILENCE = "does not answer"
BAD_SERVERS = [
    (wrong_transaction, "does not answer, but an answer to another request came"),
    (zero_transaction, "belongs to another request"),
    (wrong_unit, "unit 1 does not answer, but unit 99 does"),
    (no_such_register, "exception 2, illegal data address"),
    (unknown_exception, "exception 77, unknown"),
    (busy, "exception 6, device busy"),
    (other_function, "an answer of function"),
    (unasked_function, "an answer of function 6"),
    (too_many_registers, "an answer with 3 registers"),
    (lying_length, "contradicts its content"),
    (web_server, "not Modbus TCP"),
    (flood, SILENCE),
    (half_a_frame, SILENCE),
    (hang_up, "closed the connection"),
    (silent, SILENCE),
    (no_end, "closed the connection"),
]


@contextlib.contextmanager
def connected(port: int):
    client = ModbusClient("127.0.0.1", port)
    try:
        yield client
    finally:
        client.close()


async def test_a_good_answer_is_returned(serve):
    with connected(await serve(good)) as client:
        assert await client.read_block("input", 7, 3, 1) == [7, 8, 9]
        assert await client.read_block("holding", 0, 125, 247) == list(range(125))


@pytest.mark.parametrize(
    ("answer", "complaint"), BAD_SERVERS, ids=[answer.__name__ for answer, _ in BAD_SERVERS]
)
async def test_a_bad_answer_is_one_clear_line(serve, answer, complaint):
    port = await serve(answer)
    with connected(port) as client, pytest.raises(ConnectorError, match=complaint) as caught:
        await client.read_block("input", 7, 2, 1, patience=ONCE)

    assert str(caught.value).startswith(f"127.0.0.1:{port}: ")
    assert "\n" not in str(caught.value)


async def test_an_answer_that_comes_late_is_not_taken_for_the_next_one(serve):
    requests: list[bytes] = []

    async def late(request, writer):
        requests.append(request)
        if len(requests) == 2:
            writer.write(
                reply(requests[0], values(request, 111)) + reply(request, values(request, 222))
            )

    with connected(await serve(late)) as client:
        assert await client.read_block("input", 7, 2, 1) == [222, 222]
    assert requests[0][:2] != requests[1][:2]


async def test_a_device_that_is_busy_for_a_moment_is_asked_again(serve):
    answers = iter([busy, busy, good])

    async def busy_twice(request, writer):
        await next(answers)(request, writer)

    with connected(await serve(busy_twice)) as client:
        assert await client.read_block("input", 7, 2, 1) == [7, 8]


async def test_an_answer_in_single_bytes_is_put_together(serve):
    async def slow(request, writer):
        for byte in reply(request, values(request)):
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)

    with connected(await serve(slow)) as client:
        assert await client.read_block("holding", 7, 2, 1) == [7, 8]


async def test_after_a_bad_answer_the_next_one_is_read(serve):
    answers = iter([web_server, good, flood, good, hang_up, good])

    async def moody(request, writer):
        await next(answers)(request, writer)

    with connected(await serve(moody)) as client:
        for _ in range(3):
            with pytest.raises(ConnectorError):
                await client.read_block("input", 7, 1, 1, patience=ONCE)
            assert await client.read_block("input", 7, 1, 1, patience=ONCE) == [7]


async def test_nobody_listening_is_said_in_words():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with connected(port) as client, pytest.raises(ConnectorError, match="refused"):
            await client.read_block("input", 7, 1, 1)


async def test_a_host_that_does_not_exist_is_said_in_words():
    client = ModbusClient("meter.invalid", 502)  # RFC 6761: never resolves

    with pytest.raises(ConnectorError, match="no connection"):
        await client.read_block("input", 7, 1, 1)


@pytest.mark.slow
async def test_bad_devices_do_not_slow_a_good_one(serve, sink, profile, run_connector, caplog):
    caplog.set_level(logging.INFO)
    servers = [answer for answer, _ in BAD_SERVERS]
    bad = [
        (f"bad-{index}", profile, await serve(answer), 1, 100)
        for index, answer in enumerate(servers)
    ]
    with socket.socket() as unused, socket.socket() as full:
        unused.bind(("127.0.0.1", 0))
        full.bind(("127.0.0.1", 0))
        full.listen(0)  # accepts in the kernel, and nobody ever reads: a half-open device
        bad.append(("bad-refused", profile, unused.getsockname()[1], 1, 100))
        bad.append(("bad-half-open", profile, full.getsockname()[1], 1, 100))
        port = await serve(good)
        loop = asyncio.get_running_loop()
        start = loop.time()

        async with run_connector(*bad, ("good", profile, port, 1, 100)):
            await sink.wait_until(lambda: len(sink.of("good")) >= 50, 15)
            took_s = loop.time() - start
            await sink.wait_until(
                lambda: all(sink.changes_of(name) == [False] for name, *_ in bad), 15
            )

    assert 4.8 <= took_s <= 8  # 50 polls of a grid of 100 ms
    assert {one.device for one in sink.observations} == {"good"}
    assert sink.changes_of("good") == [True]
    lines = [record.getMessage() for record in caplog.records]
    for name, *_ in bad:
        assert sum(line.startswith(f"{name} is lost: ") for line in lines) == 1
    assert all(record.name.startswith("gateway.") for record in caplog.records)


@pytest.mark.slow
async def test_a_dead_unit_leaves_the_others_on_its_bus_their_pace(
    serve, sink, profile, run_connector
):
    async def one_is_dead(request, writer):
        if request[6] != 2:
            await good(request, writer)

    port = await serve(one_is_dead)
    bus = [(f"unit-{unit}", profile, port, unit, 200) for unit in (1, 2, 3)]
    async with run_connector(*bus):
        await sink.wait_until(lambda: sink.changes_of("unit-2") == [False], 10)
        before = len(sink.of("unit-1"))
        loop = asyncio.get_running_loop()
        start = loop.time()
        await sink.wait_until(lambda: len(sink.of("unit-1")) >= before + 15, 10)
        took_s = loop.time() - start

    assert took_s <= 6  # 15 polls take 3 s, and one probe of the dead unit 1 s
    assert len(sink.of("unit-3")) >= 12
    assert sink.changes_of("unit-1") == sink.changes_of("unit-3") == [True]


@pytest.mark.slow
@pytest.mark.parametrize("interval_ms", [1000, 500])
async def test_a_unit_that_goes_silent_leaves_the_others_their_polls(
    serve, sink, profile, run_connector, interval_ms
):
    is_silent = False
    missed = asyncio.Event()

    async def second_goes_silent(request, writer):
        if request[6] == 2 and is_silent:
            missed.set()
        else:
            await good(request, writer)

    port = await serve(second_goes_silent)
    bus = [(f"unit-{unit}", profile, port, unit, interval_ms) for unit in (2, 1)]
    async with run_connector(*bus):
        await sink.wait_until(lambda: all(sink.of(name) for name, *_ in bus), 10)
        is_silent = True
        await missed.wait()
        before = len(sink.of("unit-1"))
        await asyncio.sleep(6)
        polls = len(sink.of("unit-1")) - before
        assert polls >= 0.8 * 6000 / interval_ms

        await sink.wait_until(lambda: sink.changes_of("unit-2") == [True, False], 10)
        is_silent = False
        await sink.wait_until(lambda: sink.changes_of("unit-2") == [True, False, True], 10)

    assert sink.changes_of("unit-1") == [True]


@pytest.mark.slow
async def test_one_lost_frame_on_a_bus_costs_a_unit_one_poll_and_no_more(
    serve, sink, profile, run_connector
):
    asked: list[int] = []

    async def one_frame_is_lost(request, writer):
        if request[6] == 2:
            asked.append(request[7])
        if len(asked) != 3 or request[6] != 2:  # the first request of its second poll
            await good(request, writer)

    port = await serve(one_frame_is_lost)
    async with run_connector(*((f"unit-{unit}", profile, port, unit, 200) for unit in (1, 2))):
        await sink.wait_until(lambda: len(sink.of("unit-2")) >= 3, 10)

    assert sink.changes_of("unit-1") == sink.changes_of("unit-2") == [True]
    assert len(asked) == 7  # two blocks for each of three readings, and the one without an answer


async def test_a_poll_with_one_bad_block_makes_no_reading(serve, sink, profile, run_connector):
    async def half_good(request, writer):
        await (good if request[7] == 4 else no_such_register)(request, writer)

    async with run_connector(("meter", profile, await serve(half_good), 1, 50)):
        await sink.wait_until(lambda: sink.changes_of("meter") == [False], 5)

    assert sink.observations == []


async def test_frames_on_a_bus_keep_their_distance(serve, sink, profile, run_connector):
    loop = asyncio.get_running_loop()
    moments: list[float] = []

    async def noting(request, writer):
        moments.append(loop.time())
        await good(request, writer)

    port = await serve(noting)
    async with run_connector(*((f"unit-{unit}", profile, port, unit, 50) for unit in (1, 2))):
        await sink.wait_until(lambda: len(sink.observations) >= 6, 5)

    assert min(later - earlier for earlier, later in pairwise(moments)) >= 0.02


async def test_registers_that_make_no_reading_are_complained_about_once(
    serve, sink, profile, run_connector, caplog
):
    """The device is another one than its profile says: its marker does not fit."""
    assert profile.modbus is not None
    marker = Marker("input", 20, "uint16", 4711, "the model")
    strict = msgspec.structs.replace(
        profile, modbus=msgspec.structs.replace(profile.modbus, markers=(marker,))
    )
    requests = 0

    async def counting(request, writer):
        nonlocal requests
        requests += 1
        await good(request, writer)
        sink.submit(Observation("a request", ()), lambda _: None)

    async with run_connector(("meter", strict, await serve(counting), 1, 50)):
        await sink.wait_until(lambda: requests >= 6, 5)

    assert sink.of("meter") == []
    assert sink.changes_of("meter") == [True]  # it answers, though not what it should
    lines = [record.getMessage() for record in caplog.records]
    assert len([line for line in lines if line.startswith("meter: its registers")]) == 1
    assert "instead of 0x1267" in lines[0]


async def test_without_devices_the_connector_waits(sink, run_connector):
    async with run_connector():
        await asyncio.sleep(0)

    assert sink.availability == []


async def test_a_request_is_cancelled_even_if_its_answer_comes_at_the_same_moment(serve):
    async with asyncio.TaskGroup() as group:

        async def answer_and_cancel(request, writer):
            assert client._driver is not None
            client._driver.ctx.data_received(reply(request, values(request)))
            reading.cancel()

        client = ModbusClient("127.0.0.1", await serve(answer_and_cancel))
        reading = group.create_task(client.read_block("input", 7, 2, 1))
        with pytest.raises(asyncio.CancelledError):
            await reading
        client.close()
