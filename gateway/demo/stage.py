"""The stage of the demonstration: a home folder, real processes, a meter.

Everything listens on loopback and on free ports; everything ends with the demonstration.
"""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from gateway.app.credentials import CredentialFile
from gateway.app.founding import NetworkOptions
from gateway.app.gateway import build_clock
from gateway.app.operator import Operator
from gateway.app.provision import initialise
from gateway.app.registry import add_device, load_devices
from gateway.clock import Clock
from gateway.demo.neighbours import Neighbours, found_with_neighbours, neighbour_homes
from gateway.demo.parties import CONSUMER_AMOUNT, make_consumer, save_consumer
from gateway.demo.patience import ANSWER_PATIENCE_S, PATIENCE_S, compute_ask_timeout_s
from gateway.errors import GatewayError, MessagingError, SettingsError
from gateway.model.ledger_api import StatusReply
from gateway.settings import Home, load_settings, write_atomic, write_private
from gateway.supervision import tie_to
from ledger.types.genesis import Allocation

NAME = "demo"
METER = "house-meter"
METER_PROFILE = "eastron-sdm630"
PLUG = "fridge-plug"
PLUG_PROFILE = "shelly-plus-plug-s"
SPEED = 3600  # an hour a second: a day in 24 seconds
DAY_MS = 24 * 3_600_000
METER_INTERVAL_MS = 100  # six minutes of the sped-up day
SLOT_MS = 500  # a laboratory chain: twice a second instead of every three seconds
HEARTBEAT_MS = 2_000
ANCHOR_AGE_MS = 3_600_000  # in the sped-up time: a batch a second
STOP_TIMEOUT_S = 30.0
POLL_INTERVAL_S = 0.2
TELL_INTERVAL_S = 15.0  # between two lines about what is waited for
LOG_LINES_SHOWN = 15  # of a demonstration that failed; its folder, and the log with it, goes
LOG_TAIL_BYTES = 8_192

PLUG_PASSWORD_FILE = "demo-plug.password"  # noqa: S105 - a file's name
MARKER_FILE = "demo.log"


def prepare(home: Home, clock: Clock) -> None:
    """Make the home of a demonstration, or take up one that an earlier demonstration made."""
    if home.settings.exists():
        if not (home.path / MARKER_FILE).exists():
            raise SettingsError(
                f"{home.path} is the home of a real node; give the demonstration another folder"
            )
        return
    home.path.mkdir(parents=True, exist_ok=True)
    (home.path / MARKER_FILE).touch()
    consumer = make_consumer()
    port, meter_port = find_free_port(), find_free_port()
    options = NetworkOptions(
        slot_ms=SLOT_MS,
        heartbeat_ms=HEARTBEAT_MS,
        allocations=(Allocation(consumer.address, CONSUMER_AMOUNT),),
    )
    membership = found_with_neighbours(home, options, clock, find_free_port)
    initialise(home, NAME, clock, listen=f"127.0.0.1:{port}", membership=membership)
    save_consumer(home.path, consumer)
    settings = (
        home.settings.read_text()
        .replace("age_max_ms = 10000", f"age_max_ms = {ANCHOR_AGE_MS}")
        .replace("interfaces = []", 'interfaces = ["127.0.0.1"]')
    )
    # The sped-up time starts next midnight: a session bills no reading from before its opening.
    now_ms = clock.now_ms()
    settings += (
        "\n[simulation]             # the demonstration's day is sped up\n"
        f"start_ms = {(now_ms // DAY_MS + 1) * DAY_MS}\norigin_ms = {now_ms}\nfactor = {SPEED}\n"
    )
    write_atomic(home.settings, settings.encode())
    address = f"modbus-tcp://127.0.0.1:{meter_port}?unit=1"
    add_device(home, METER, METER_PROFILE, address, METER_INTERVAL_MS)
    add_device(home, PLUG, PLUG_PROFILE, None, 1000)
    password = CredentialFile(home).set_new_password(PLUG)
    write_private(home.path / PLUG_PASSWORD_FILE, password.encode())


def find_free_port() -> int:
    """Return a port of the loopback interface that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Stage:
    """The processes of the demonstration, as a context manager; they end with the block."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._log = home.path / MARKER_FILE
        self._clock = build_clock(load_settings(home))
        self._processes: list[subprocess.Popen[bytes]] = []
        self.neighbours = Neighbours(neighbour_homes(home), self._start_node)

    def __enter__(self) -> Self:
        self._start(
            "-m",
            "gateway.connectors.simulated.modbus_server",
            *("--profile", METER_PROFILE, "--port", str(self._meter_port())),
            *("--speed", str(SPEED), "--start-ms", str(self._clock.now_ms()), "--seed", "1"),
        )
        self._start_node(self._home)
        self.neighbours.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, Exception):
            self._show_log()  # before the processes say that they end
        for process in reversed(self._processes):
            process.terminate()
        for process in self._processes:
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def connect(self, tell: Callable[[str], None]) -> Operator:
        """Return a connection to the node once it answers; raises `GatewayError` if it does not.

        While it does not, `tell` is told now and then what is missing.
        """
        started, waited_s, next_told_s = time.perf_counter(), 0.0, TELL_INTERVAL_S
        while (problem := self._find_problem(compute_ask_timeout_s(waited_s))) is not None:
            waited_s = time.perf_counter() - started
            if any(process.poll() is not None for process in self._processes):
                raise GatewayError("the node did not start: one of its processes ended")
            if waited_s > PATIENCE_S:
                raise GatewayError(f"the node did not start within {waited_s:.0f} s: {problem}")
            if waited_s > next_told_s:
                tell(f"Still starting after {waited_s:.0f} s: {problem.partition(';')[0]}")
                next_told_s = waited_s + TELL_INTERVAL_S
            time.sleep(POLL_INTERVAL_S)
        return Operator(self._home, "smartshare-demo", ANSWER_PATIENCE_S)

    def _find_problem(self, timeout_s: float) -> str | None:
        """Ask the ledger through the gateway; return what goes wrong, or None."""
        try:
            with Operator(self._home, "smartshare-demo", timeout_s) as operator:
                operator.ask("status", {}, StatusReply)
        except MessagingError as error:
            return str(error)
        return None

    def _show_log(self) -> None:
        """Print the last lines of what the processes said, which holds no secrets, to standard error."""
        with self._log.open("rb") as log:
            log.seek(max(0, self._log.stat().st_size - LOG_TAIL_BYTES))
            lines = log.read().decode(errors="replace").splitlines()[-LOG_LINES_SHOWN:]
        print(f"The last lines of {self._log}:", *lines, sep="\n  ", file=sys.stderr)

    def _start_node(self, home: Home) -> "subprocess.Popen[bytes]":
        return self._start("-m", "gateway.cli.main", "run", "--home", str(home.path))

    def _start(self, *arguments: str) -> "subprocess.Popen[bytes]":
        parent = os.getpid()
        with self._log.open("ab") as log:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and modules
                (sys.executable, *arguments),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=lambda: tie_to(parent),  # noqa: PLW1509 - no other thread runs yet
            )
        self._processes.append(process)
        return process

    def _meter_port(self) -> int:
        meter = next(e.config for e in load_devices(self._home) if e.config.name == METER)
        assert meter.address is not None, "the demonstration's meter has an address"
        return meter.address.port
