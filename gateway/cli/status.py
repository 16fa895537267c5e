"""`status`, `doctor` and `discover`: how this node does, what is wrong with it, who else is there."""

import argparse
import asyncio
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

from gateway.app.disk import describe_low_disk
from gateway.app.listeners import needs_certificates
from gateway.app.operator import Operator
from gateway.app.registry import load_devices
from gateway.broker.certificates import CertificateFolder, days_left
from gateway.broker.durable.database import find_set_aside
from gateway.cli.output import emit, home_of, table
from gateway.clock import SystemClock
from gateway.discovery.mdns import discover as discover_gateways
from gateway.errors import GatewayError
from gateway.health import Health, Overload
from gateway.ledger_host.genesis import load_genesis
from gateway.model.ledger_api import StatusReply
from gateway.model.stake_api import AgentsReply
from gateway.profiles.library import ProfileLibrary
from gateway.readings.queries import ReadingsReader
from gateway.settings import Home, load_settings
from gateway.smart_agent.client import AgentClient
from ledger.errors import LedgerError

CERTIFICATE_DAYS_MIN = 7  # a running gateway renews a month before
AUTHORITY_DAYS_MIN = 180  # devices must be given the next one by hand


def status(options: argparse.Namespace) -> int:
    """Print the health of gateway and ledger; exit 1 when there is a problem."""
    with Operator(home_of(options)) as operator:
        health = operator.ask_gateway("health", {}, Health)
        chain = operator.ask("status", {}, StatusReply)
    problems = dict.fromkeys(filter(None, (*health.problems, chain.problem)))
    devices = "  ".join(f"{name} {state}" for name, state in sorted(health.devices.items()))
    lines = [
        f"gateway   {health.name}, version {health.version}",
        f"readings  {health.readings} stored since the start, {health.readings_per_second}/s, "
        f"{health.rejected} rejected",
        f"anchored  {health.anchored} readings since the start, "
        f"{health.pending_transactions} transactions on their way",
        f"devices   {devices or 'none heard of yet'}",
        f"MQTT      {health.connections} connections{_describe_overload(health.overload)}",
        f"chain     block {chain.height}, finality {chain.finality_ms} ms, clock {chain.clock}",
        *(f"PROBLEM   {problem}" for problem in problems),
    ]
    emit(options, {"gateway": health, "chain": chain}, "\n".join(lines))
    return 1 if problems else 0


def _describe_overload(overload: Overload) -> str:
    """Return what was too much for the broker since its start, "" when nothing was."""
    parts = (
        (overload.refused_connections, "refused"),
        (overload.dropped, "messages dropped"),
        (overload.cut_off, "clients cut off"),
        (overload.throttled_count, "devices slowed down in the last minute"),
        (overload.waiting, "waiting for the disk"),
    )
    return "".join(f", {count} {what}" for count, what in parts if count)


@dataclass(frozen=True, slots=True)
class _Check:
    """One thing the doctor looked at; `problem` is empty, or one line with what to do."""

    name: str
    problem: str


def doctor(options: argparse.Namespace) -> int:
    """Look at everything a node needs; exit 1 when something needs mending."""
    home = home_of(options)
    checks = [
        _check("settings", lambda: load_settings(home)),
        _check("genesis", lambda: load_genesis(home)),
        _check("devices and profiles", lambda: _check_devices(home)),
        _check("disk", lambda: _check_disk(home)),
        _check("clock", _check_clock),
        _check("certificates", lambda: _check_certificates(home)),
        _check("MQTT sessions", lambda: _check_sessions(home)),
        _check("SmartAgent", lambda: _check_agent(home)),
        _check("readings store", lambda: ReadingsReader.open(home.readings).close()),
        _check("gateway and ledger", lambda: _check_running(home)),
    ]
    rows = [("ok" if not check.problem else "MEND", check.name, check.problem) for check in checks]
    data = [{"check": c.name, "ok": not c.problem, "problem": c.problem} for c in checks]
    emit(options, data, table(("", "CHECK", ""), rows))
    return 1 if any(check.problem for check in checks) else 0


def _check(name: str, look: Callable[[], object]) -> _Check:
    try:
        look()
    except (GatewayError, LedgerError) as error:
        return _Check(name, str(error))
    except OSError as error:
        return _Check(name, f"{error.filename}: {error.strerror}")
    return _Check(name, "")


def _check_agent(home: Home) -> None:
    with closing(AgentClient(home.agent_socket)) as agent:
        agent.describe()


def _check_devices(home: Home) -> None:
    library = ProfileLibrary(home.profiles)
    for entry in load_devices(home):
        entry.config.check_against(library.get(entry.config.profile).transport)


def _check_disk(home: Home) -> None:
    problem = describe_low_disk(home.path)
    if problem:
        raise GatewayError(problem)


def _check_certificates(home: Home) -> None:
    section = load_settings(home).broker
    if not needs_certificates(section):
        return
    folder, now_ms = CertificateFolder(home.certificates), SystemClock().now_ms()
    if days_left(folder.server, now_ms) < CERTIFICATE_DAYS_MIN:
        raise GatewayError(
            f"{folder.server} expires soon: restart the gateway, which renews it, and look at its log"
        )
    left = days_left(folder.authority, now_ms)
    if left < AUTHORITY_DAYS_MIN:
        raise GatewayError(
            f"{folder.authority} expires in {left} days: move the folder away, restart the gateway, "
            "and give its new authority.pem to every TLS client"
        )


def _check_sessions(home: Home) -> None:
    for damaged in find_set_aside(home.broker_sessions):
        raise GatewayError(
            f"{damaged} was damaged and set aside: messages that waited for clients are in it; "
            "check the disk, keep the file elsewhere or delete it"
        )


def _check_clock() -> None:
    if not SystemClock().is_synchronised():
        raise GatewayError(
            "not synchronised: readings are marked so; enable NTP (`timedatectl set-ntp true`)"
        )


def _check_running(home: Home) -> None:
    with Operator(home) as operator:
        health = operator.ask_gateway("health", {}, Health)
        operator.ask("status", {}, StatusReply)
        problems = [*health.problems]
        if load_settings(home).ledger.role == "full":  # a light node is no agent
            agents = operator.ask("agents", {}, AgentsReply).agents
            own = [one.problem for one in agents if one.node == health.node]
            problems += [f"this agent is {problem}" for problem in own if problem]
    if problems:
        raise GatewayError("; ".join(problems))


def discover(options: argparse.Namespace) -> int:
    """Find gateways by mDNS. What they announce is a hint, not a proof."""
    found = asyncio.run(discover_gateways(options.timeout, options.interface or None))
    rows = [
        (
            one.name,
            ", ".join(one.addresses),
            str(one.mqtt_port),
            one.role,
            one.version,
            one.network,
            str(one.height),
        )
        for one in found
    ]
    text = table(("NAME", "ADDRESS", "MQTT", "ROLE", "VERSION", "NETWORK", "HEIGHT"), rows)
    emit(options, found, text if rows else "no gateways heard; is one running on this network?")
    return 0
