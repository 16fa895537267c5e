"""What Prometheus reads over HTTP is what the gateway and its ledger say."""

import asyncio
import urllib.request
from typing import cast

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.app.ledger_link import LedgerLink
from gateway.app.metrics import MetricsServer
from gateway.errors import MessagingError, SettingsError
from gateway.health import Health, Overload
from gateway.model.ledger_api import PeerReply, PeersReply, StatusReply

OVERLOAD = Overload(("meter",), 3, cut_off=2, refused_connections=4, dropped=6, waiting=1)
HEALTH = Health(
    "gw",
    "1",
    "ab",
    readings=7,
    devices={"meter": "online", "plug": "offline"},
    overload=OVERLOAD,
)
STATUS = StatusReply("c4", 42, "00", 1_000, 500, 3, 9, 4, 2, "voting", "synchronised", 250)
PEERS = PeersReply(
    (PeerReply("01", "to", "h:1"), PeerReply("02", "none", "", problem="x")), 5, 100, 200
)


class Ledger:
    def __init__(self, *, is_away: bool) -> None:
        self._is_away = is_away

    async def call(self, verb, _body, _reply):
        if self._is_away:
            raise MessagingError("away")
        return STATUS if verb == "status" else PEERS


async def scrape(*, is_away: bool) -> dict[str, float]:
    server = MetricsServer(("127.0.0.1", 0))
    ledger = cast("LedgerLink", Ledger(is_away=is_away))
    running = asyncio.create_task(server.run(lambda: HEALTH, ledger))
    await asyncio.sleep(0)  # it listens; the next turn takes the first snapshot
    await asyncio.sleep(0)
    url = f"http://127.0.0.1:{server.port}/metrics"
    text = await asyncio.to_thread(lambda: urllib.request.urlopen(url, timeout=10).read().decode())
    running.cancel()
    await asyncio.wait({running})
    return {
        sample.name + "".join(f"[{value}]" for value in sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_the_numbers_of_gateway_and_ledger():
    values = await scrape(is_away=False)

    assert values["smartshare_readings_total"] == 7
    assert values["smartshare_device_online[meter]"] == 1
    assert values["smartshare_device_online[plug]"] == 0
    assert values["smartshare_device_throttled[meter]"] == 1
    assert values["smartshare_mqtt_throttled_devices"] == 3
    assert values["smartshare_mqtt_cut_off_clients_total"] == 2
    assert values["smartshare_mqtt_refused_connections_total"] == 4
    assert values["smartshare_mqtt_dropped_messages_total"] == 6
    assert values["smartshare_mqtt_waiting_connections"] == 1
    assert values["smartshare_ledger_up"] == 1
    assert values["smartshare_chain_height"] == 42
    assert values["smartshare_finality_seconds"] == 0.25
    assert values["smartshare_peers_connected"] == values["smartshare_peers_missing"] == 1
    assert values["smartshare_peer_dropped_messages_total"] == 5


async def test_a_ledger_that_is_away_is_a_number_too():
    values = await scrape(is_away=True)

    assert values["smartshare_ledger_up"] == 0
    assert "smartshare_chain_height" not in values


async def test_an_address_that_is_taken_gets_one_line():
    server = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    metrics = MetricsServer(("127.0.0.1", port))
    with pytest.raises(SettingsError, match=r"metrics\.listen"):
        await metrics.run(lambda: HEALTH, cast("LedgerLink", Ledger(is_away=True)))
    server.close()
    await server.wait_closed()
