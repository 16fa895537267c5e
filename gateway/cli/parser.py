"""The grammar of the command line. Each command names its handler as `module:function`.

Handlers are imported only when their command runs, so that every command starts fast.
"""

import argparse
from pathlib import Path

from gateway.cli.chain_grammar import add_chain_commands
from gateway.cli.grammar import (
    PROGRAM,
    Commands,
    Parser,
    command as _command,
    group as _group,
    home as _home,
    json as _json,
)
from gateway.cli.identity_grammar import add_identity_commands
from gateway.cli.lab_grammar import add_lab_command
from gateway.cli.meter_grammar import add_meter_commands
from gateway.cli.network_grammar import add_network_commands
from gateway.cli.wallet_grammar import add_wallet_commands

EPILOG = "Every command that prints data takes --json. Exit codes: 0 done, 1 failed, 2 wrong usage."


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = Parser(
        prog=PROGRAM,
        description="What your devices measure becomes a record nobody can alter and a bill nobody "
        "can dispute.",
        epilog=EPILOG,
    )
    parser.add_argument("--version", action="store_true", help="print the version")
    commands = parser.add_subparsers(metavar="COMMAND", dest="command")
    _add_node_commands(commands)
    _add_broker_commands(commands)
    _add_device_commands(commands)
    _add_reading_commands(commands)
    _add_contract_commands(commands)
    add_chain_commands(commands)
    add_meter_commands(commands)
    add_wallet_commands(commands)
    add_identity_commands(commands)
    add_lab_command(commands)
    return parser


def _add_node_commands(commands: Commands) -> None:
    demo = _command(
        commands, "demo", "gateway.cli.node:demo", "show the whole product on this machine"
    )
    _home(demo).add_argument("--once", action="store_true", help="run to the receipt and stop")
    add_network_commands(commands)
    for name, summary in (
        ("run", "run agent, gateway and ledger together"),
        ("gateway", "run the broker, the connectors and the readings store"),
        ("ledger", "run the chain node"),
    ):
        _home(_command(commands, name, f"gateway.cli.services:{name}", summary))
    _add_agent_commands(commands)
    _json(_home(_command(commands, "status", "gateway.cli.status:status", "show how it is doing")))
    _json(_home(_command(commands, "doctor", "gateway.cli.status:doctor", "say what is wrong")))
    discover = _command(
        commands, "discover", "gateway.cli.status:discover", "find gateways on the network"
    )
    _json(discover).add_argument("--timeout", type=float, default=3.0, metavar="SECONDS")
    discover.add_argument(
        "--interface", action="append", default=[], metavar="ADDRESS", help="search only here"
    )


def _add_broker_commands(commands: Commands) -> None:
    broker = _command(
        commands, "broker", "gateway.cli.broker:serve", "run nothing but the MQTT broker"
    )
    broker.add_argument(
        "--listen", default="127.0.0.1:1883", metavar="HOST:PORT", help="port 0 takes any"
    )
    broker.add_argument("--tls", metavar="HOST:PORT", help="where to take clients with TLS")
    broker.add_argument("--ws", metavar="HOST:PORT", help="where to take WebSocket clients")
    broker.add_argument("--wss", metavar="HOST:PORT", help="WebSocket with TLS")
    broker.add_argument(
        "--client-certificates", action="store_true", help="TLS clients need one of this broker's"
    )
    broker.add_argument(
        "--certificate-name",
        action="append",
        default=[],
        metavar="NAME",
        help="a name or address of this machine that it does not know by itself",
    )
    broker.add_argument(
        "--origin",
        action="append",
        default=[],
        metavar="URL",
        help="a web site whose pages may connect, beside this machine's own",
    )
    broker.add_argument(
        "--anonymous", action="store_true", help="let everybody in; only on loopback"
    )
    _home(broker)
    parts = broker.add_subparsers(metavar="COMMAND", dest="broker_command", parser_class=Parser)
    user = _group(parts, "user", "add, list and remove the users of a broker that runs alone")
    for name, summary in (
        ("add", "add a user, or give one a new password"),
        ("list", "list the users"),
        ("remove", "remove a user"),
    ):
        handler = "list_users" if name == "list" else f"{name}_user"
        parser = _home(_command(user, name, f"gateway.cli.broker:{handler}", summary))
        if name != "list":
            parser.add_argument("name")
        _json(parser)
    _add_certificate_command(user, "gateway.cli.broker:user_certificate", "a user")


def _add_certificate_command(commands: Commands, handler: str, whose: str) -> None:
    summary = f"issue a TLS client certificate for {whose}"
    certificate = _home(_command(commands, "certificate", handler, summary))
    certificate.add_argument("name")
    certificate.add_argument("-o", "--output", type=Path, required=True, metavar="FILE")
    _json(certificate)


def _add_agent_commands(commands: Commands) -> None:
    """Without a command of its own, `smartshare agent` runs the SmartAgent."""
    agent = _command(
        commands, "agent", "gateway.cli.services:agent", "run the SmartAgent, which holds the keys"
    )
    _home(agent)
    parts = agent.add_subparsers(metavar="[PART]", dest="agent_command")
    audit = _group(parts, "audit", "the log of everything that was signed")
    verify = _command(audit, "verify", "gateway.cli.agent:audit_verify", "check every link of it")
    _json(_own_home(verify)).add_argument(
        "--anchored",
        action="store_true",
        help="and against its heads in the chain (a running node)",
    )
    show = _command(audit, "show", "gateway.cli.agent:audit_show", "print its newest entries")
    _json(_own_home(show)).add_argument("--last", type=int, default=20, metavar="N")
    guard = _group(parts, "guard", "the record of what this node voted for")
    _json(
        _own_home(
            _command(guard, "show", "gateway.cli.agent:guard_show", "print it, and any alarm")
        )
    )
    place = _command(
        guard, "set", "gateway.cli.agent:guard_set", "replace a lost record (stop the node first)"
    )
    _own_home(place).add_argument(
        "position", metavar="EPOCH:SLOT", help="this key never voted at or after it"
    )
    quarantine = _command(
        guard,
        "quarantine",
        "gateway.cli.agent:guard_quarantine",
        "after a restore or an alarm: vote again two epochs later (stop the node first)",
    )
    _own_home(quarantine).add_argument(
        "--epoch",
        type=int,
        required=True,
        metavar="CURRENT",
        help="the epoch the network is in now",
    )
    _add_agent_keys(parts)


def _add_agent_keys(parts: Commands) -> None:
    """What is done with the keys themselves; the node is stopped."""
    for name, summary in (
        ("backup", "write its sealed keys to a file, without the guard (stop the node first)"),
        ("restore", "make its folder from a backup; it votes again after `guard quarantine`"),
    ):
        copy = _own_home(_command(parts, name, f"gateway.cli.agent:{name}", summary))
        copy.add_argument("file", type=Path)
    unlock = _command(
        parts,
        "change-unlock",
        "gateway.cli.agent:change_unlock",
        "seal its keys under another unlock secret (stop the node first)",
    )
    _own_home(unlock).add_argument(
        "--to", type=Path, metavar="FILE", help="a private file with it; default: a random one"
    )
    words = _group(parts, "wallet-words", "the wallet's 24 recovery words (stop the node first)")
    _own_home(
        _command(words, "export", "gateway.cli.agent:words_export", "show them, after a question")
    )
    _own_home(
        _command(
            words, "import", "gateway.cli.agent:words_import", "type them; they are not echoed"
        )
    )


def _own_home(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Take --home behind a subcommand of `agent` too, without undoing one that stood before it."""
    parser.add_argument(
        "--home",
        type=Path,
        metavar="DIR",
        default=argparse.SUPPRESS,
        help="the node's folder (or set SMARTSHARE_HOME)",
    )
    return parser


def _add_device_commands(commands: Commands) -> None:
    device = _group(commands, "device", "add, list and remove devices")
    add = _home(_command(device, "add", "gateway.cli.devices:add", "add a device"))
    add.add_argument("name")
    add.add_argument("--profile", required=True, help="see `smartshare profile list`")
    add.add_argument("--address", help="for example modbus-tcp://192.168.1.50:502?unit=1")
    add.add_argument("--interval-ms", type=int, default=1000, help="how often to poll")
    _json(add)
    _json(_home(_command(device, "list", "gateway.cli.devices:list_devices", "list the devices")))
    remove = _home(_command(device, "remove", "gateway.cli.devices:remove", "remove a device"))
    _json(remove).add_argument("name")
    credential = _home(
        _command(device, "credential", "gateway.cli.devices:credential", "make a new MQTT password")
    )
    _json(credential).add_argument("name")
    _add_certificate_command(device, "gateway.cli.devices:certificate", "a device")

    profile = _group(commands, "profile", "list, show and check device profiles")
    _json(_home(_command(profile, "list", "gateway.cli.profiles:list_profiles", "list them")))
    show = _home(_command(profile, "show", "gateway.cli.profiles:show", "print what one measures"))
    _json(show).add_argument("name")
    check = _command(profile, "check", "gateway.cli.profiles:check", "check a profile file")
    _json(check).add_argument("file", type=Path)
    test = _command(profile, "test", "gateway.cli.profiles:test", "decode a profile's samples")
    _json(test).add_argument("file", type=Path)


def _add_reading_commands(commands: Commands) -> None:
    readings = _home(
        _command(commands, "readings", "gateway.cli.records:readings", "print stored readings")
    )
    _json(readings).add_argument("device")
    readings.add_argument("--last", type=int, default=10, metavar="N")
    receipt = _home(
        _command(commands, "receipt", "gateway.cli.records:receipt", "write a reading's receipt")
    )
    receipt.add_argument("device")
    receipt.add_argument("sequence", type=int, metavar="SEQ")
    receipt.add_argument(
        "--proof", action="store_true", help="print the proof that a contract's method takes"
    )
    receipt.add_argument("-o", "--output", type=Path, metavar="FILE", help="default: print it")
    verify = _command(commands, "verify", "gateway.cli.records:verify", "verify a receipt offline")
    _json(verify).add_argument("file", type=Path)
    verify.add_argument("--genesis", type=Path, required=True, metavar="FILE")


def _add_contract_commands(commands: Commands) -> None:
    contract = _group(commands, "contract", "check, test, deploy, call and query edge contracts")
    for name, summary in (("check", "check a contract folder"), ("test", "run its test.lua")):
        folder = _command(contract, name, f"gateway.cli.contracts:{name}", summary)
        _json(folder).add_argument("folder", help="a folder, or the name of a library contract")
    deploy = _home(
        _command(contract, "deploy", "gateway.cli.contracts:deploy", "create a contract")
    )
    deploy.add_argument("folder", help="a folder, or the name of a library contract")
    _json(deploy).add_argument("--args", default="{}", help="JSON for its init method")
    for name, summary in (("call", "call a method"), ("query", "ask without changing anything")):
        parser = _home(_command(contract, name, f"gateway.cli.contracts:{name}", summary))
        parser.add_argument("contract", help="the contract's address")
        parser.add_argument("method")
        _json(parser).add_argument("--args", default="{}", help="JSON; 0x... is bytes")
        if name == "call":
            parser.add_argument("--deposit", default="0", metavar="SSP")
