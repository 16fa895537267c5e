"""The demonstration, act by act: measure, anchor, meter, settle, bill, prove, try to cheat."""

import contextlib
import functools
import logging
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

from gateway.app.receipts import make_receipt
from gateway.clock import SystemClock
from gateway.demo.bill import print_bill
from gateway.demo.contract import Settlement
from gateway.demo.outage import Outage
from gateway.demo.patience import PATIENCE_S
from gateway.demo.plug import PlugPublisher
from gateway.demo.screen import Screen, View
from gateway.demo.stage import METER, PLUG, Stage, prepare
from gateway.demo.watch import Watcher
from gateway.errors import GatewayError
from gateway.settings import Home, write_atomic

OUTPUT_FOLDER = "smartshare-demo"
DAY_MS = 24 * 3_600_000
REFRESH_S = 0.25


def run_demo(folder: Path | None, *, once: bool) -> int:
    """Run the demonstration; return the exit code. With a folder, its state stays there."""
    logging.getLogger().setLevel(logging.WARNING)
    for number in (signal.SIGTERM, signal.SIGHUP):  # like Ctrl-C: processes and folder are cleared
        signal.signal(number, signal.default_int_handler)
    console = Console(highlight=False)
    if folder is not None:
        return _play(Home(folder), folder, console, once=once)
    output = Path.cwd() / OUTPUT_FOLDER
    temporary = Path(tempfile.mkdtemp(prefix="smartshare-"))
    try:
        return _play(Home(temporary / "home"), output, console, once=once)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _play(home: Home, output: Path, console: Console, *, once: bool) -> int:
    view = View()
    console.print(
        "[bold]Smartshare[/bold]: four gateways, a household meter, a tariff, a bill, a receipt."
    )
    console.print("Making four identities and starting four gateways and a Modbus meter ...")
    prepare(home, SystemClock())
    with (
        Stage(home) as stage,
        stage.connect(functools.partial(console.print, markup=False, soft_wrap=True)) as operator,
        PlugPublisher(home, PLUG) as plug,
    ):
        settlement = Settlement(home, operator)
        with contextlib.closing(Watcher(operator, plug, settlement, view)) as watcher:
            outage = Outage(stage.neighbours, view)
            with Screen(view, console) as screen:
                _meter_a_day(settlement, watcher, screen, outage)
            print_bill(console, settlement.bill())
            outage.conclude(operator, console)
            is_proven = _prove(home, output, settlement.last_sequence(), console)
            if is_proven and not once:
                _go_on(home, watcher, console)
    return 0 if is_proven else 1


def _meter_a_day(settlement: Settlement, watcher: Watcher, screen: Screen, outage: Outage) -> None:
    view = screen.view
    view.step = "deploying the settlement contract"
    screen.refresh()
    settlement.deploy()
    view.step = "the consumer opens a session and leaves a deposit"
    screen.refresh()
    settlement.open()
    view.step = "metering a day"
    deadline = time.perf_counter() + PATIENCE_S
    while (metered_ms := watcher.refresh()) < DAY_MS or not outage.is_over:
        outage.advance(metered_ms)
        screen.refresh()
        if time.perf_counter() > deadline:
            raise GatewayError(
                f"the session did not reach the end of its day within {PATIENCE_S:g} s"
            )
        time.sleep(REFRESH_S)
    view.step = "settling"
    screen.refresh()
    settlement.settle()
    watcher.refresh()
    view.step = "settled"
    screen.refresh()


def _prove(home: Home, output: Path, sequence: int, console: Console) -> bool:
    """Write a receipt, verify it in a fresh process, change one byte, see it refused."""
    output.mkdir(parents=True, exist_ok=True)
    receipt, genesis = output / "receipt.json", output / "genesis.json"
    text = make_receipt(home, METER, sequence).encode()
    write_atomic(receipt, text)
    if genesis != home.genesis:
        write_atomic(genesis, home.genesis.read_bytes())
    console.print(f"\n[bold]Receipt[/bold] of the last billed reading: {receipt}", soft_wrap=True)
    console.print(f"[dim]$ smartshare verify {receipt} --genesis {genesis}[/dim]", soft_wrap=True)
    is_valid = _verify(receipt, genesis) == 0
    position = text.index(b'"reading"') + 30
    forged = output / "receipt-forged.json"
    digit = b"1" if text[position : position + 1] == b"0" else b"0"
    write_atomic(forged, text[:position] + digit + text[position + 1 :])
    console.print("\n[bold]The same receipt with one byte changed[/bold]")
    console.print(f"[dim]$ smartshare verify {forged} --genesis {genesis}[/dim]", soft_wrap=True)
    is_forgery_refused = _verify(forged, genesis) == 1
    if not (is_valid and is_forgery_refused):
        console.print("[red]The receipt does not behave as it should: this is a fault of ours.")
    return is_valid and is_forgery_refused


def _verify(receipt: Path, genesis: Path) -> int:
    sys.stdout.flush()
    command = ("-m", "gateway.cli.main", "verify", str(receipt), "--genesis", str(genesis))
    return subprocess.run((sys.executable, *command), check=False).returncode  # noqa: S603 - ours


def _go_on(home: Home, watcher: Watcher, console: Console) -> None:
    program = Path(sys.executable).with_name("smartshare")
    console.print(
        f"\nThe node keeps running. In another terminal, with "
        f"[bold]export SMARTSHARE_HOME={home.path}[/bold], try:\n"
        f"  {program} status\n"
        f"  {program} readings {METER} --last 3\n"
        f"  {program} receipt {METER} 1 -o receipt.json\n"
        f"  {program} chain blocks\n"
        f"  {program} wallet show\n"
        f"  {program} discover --interface 127.0.0.1\n"
        "Ctrl-C ends it.\n",
        highlight=False,
        soft_wrap=True,
    )
    watcher.view.step = "running; Ctrl-C ends it"
    try:
        with Screen(watcher.view, console) as screen:
            while True:
                watcher.refresh()
                screen.refresh()
                time.sleep(REFRESH_S)
    except KeyboardInterrupt:
        console.print("Stopping ...")
