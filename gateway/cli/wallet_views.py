"""`wallet history` and `wallet assets`: what came and went, and what else the node owns."""

import argparse
from collections import deque
from collections.abc import Iterator

import msgspec

from gateway.app.amounts import format_ssp
from gateway.app.metering_file import MeteringFile
from gateway.app.operator import Operator
from gateway.app.registry import load_devices
from gateway.cli.output import emit, full_home_of, home_of, table
from gateway.errors import SettingsError
from gateway.ledger_host.history_file import HistoryFile, HistoryLine
from gateway.metering.pages import decode_page
from gateway.model.ledger_api import CoinReply
from gateway.readings.queries import ReadingsReader
from gateway.settings import Home
from gateway.smart_agent.client import AgentClient
from ledger.codec.text import format_address
from ledger.types.metering import Mark
from ledger.types.time_text import format_time_ms

LAST_MAX = 100_000
_ENDS = (Mark.END, Mark.ABORT)


class Asset(msgspec.Struct, frozen=True):
    """Something the node owns: what it is, how much, and where that is known from."""

    kind: str
    name: str
    amount: str
    provenance: str


def history(options: argparse.Namespace) -> int:
    """Print the newest lines of the history with the running balance."""
    if not 1 <= options.last <= LAST_MAX:
        raise SettingsError(f"--last {options.last}: from 1 to {LAST_MAX}")
    lines = (line for line in HistoryFile(full_home_of(options)).lines() if line.entries)
    newest: deque[HistoryLine] = deque(lines, maxlen=options.last)
    rows = [
        (
            str(line.height),
            format_time_ms(line.time_ms),
            entry.what,
            _signed(entry.amount),
            f"-{format_ssp(entry.fee)}" if entry.fee else "",
            format_ssp(line.balance) if entry is line.entries[-1] else "",
            " ".join(
                filter(
                    None, (entry.other[:20], _coin_words(entry.coin, entry.coin_units), entry.note)
                )
            ),
        )
        for line in newest
        for entry in line.entries
    ]
    headings = ("BLOCK", "TIME", "WHAT", "SSP", "FEE", "BALANCE", "")
    emit(options, list(newest), table(headings, rows) if rows else "nothing yet")
    return 0


def assets(options: argparse.Namespace) -> int:
    """List coins, contracts, data sets, services and unsettled metering."""
    home = home_of(options)
    found = [*_coins(home), *_contracts(home), *_data_sets(home), *_services(home)]
    found += _unsettled(home)
    rows = [(one.kind, one.name, one.amount, one.provenance) for one in found]
    text = table(("KIND", "NAME", "AMOUNT", "KNOWN FROM"), rows) if rows else "nothing yet"
    emit(options, found, text)
    return 0


def coin_ids(home: Home) -> list[str]:
    """Return the coins that the wallet has ever had to do with."""
    lines = HistoryFile(home).lines()
    return sorted({entry.coin for line in lines for entry in line.entries if entry.coin})


def _coins(home: Home) -> Iterator[Asset]:
    ids = coin_ids(home)
    if not ids:
        return
    wallet = AgentClient(home.agent_socket).describe().wallet
    with Operator(home) as operator:
        for coin in ids:
            reply = operator.ask("coin", {"id": coin, "address": wallet.hex()}, CoinReply)
            yield Asset(
                "coin",
                f"{reply.symbol} {coin}",
                f"{reply.balance} of {reply.supply} units",
                f"chain, issued by {format_address(bytes.fromhex(reply.issuer))}",
            )


def _contracts(home: Home) -> Iterator[Asset]:
    for line in HistoryFile(home).lines():
        for entry in line.entries:
            if entry.what == "DeployContract" and not entry.note:
                yield Asset("contract", entry.other, "1", f"block {line.height}, deployed by us")


def _data_sets(home: Home) -> Iterator[Asset]:
    if not home.readings.exists():
        return
    reader = ReadingsReader.open(home.readings)
    try:
        for device in reader.devices():
            count = device.next_sequence - 1
            if count:
                newest = reader.newest_batch(device.name)
                anchored = (
                    "nothing anchored yet" if newest is None else f"anchored to {newest.last}"
                )
                yield Asset(
                    "data set",
                    device.name,
                    f"{count} readings",
                    f"device {device.device_id.hex()[:16]}, {anchored}",
                )
    finally:
        reader.close()


def _services(home: Home) -> Iterator[Asset]:
    for entry in load_devices(home):
        for session in entry.sessions:
            contract = format_address(session.contract)
            yield Asset("service", entry.config.name, session.session, f"contract {contract}")


def _unsettled(home: Home) -> Iterator[Asset]:
    for entry in load_devices(home):
        newest = {}
        for raw in MeteringFile(home, entry.config.name).pages():
            record = decode_page(raw)[0].record
            if record.session:
                newest[record.session] = record
        for session, record in newest.items():
            if record.mark not in _ENDS:
                yield Asset(
                    "unsettled metering",
                    f"{entry.config.name}, {session}",
                    f"since page {record.page}",
                    f"measurement records, {format_time_ms(record.time_ms)}",
                )


def _signed(amount: int) -> str:
    if not amount:
        return ""
    return f"{'-' if amount < 0 else '+'}{format_ssp(abs(amount))}"


def _coin_words(coin: str, units: int) -> str:
    return f"{units:+d} of {coin[:16]}" if units else ""
