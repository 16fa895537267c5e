"""`identity`: who a node is on the chain, which instance of it runs, who owns it, and its end."""

import argparse

from gateway.app.operator import Operator, check_applied
from gateway.app.wallet import WalletAccount
from gateway.cli.output import emit, home_of
from gateway.errors import SettingsError
from gateway.ledger_host.measurement import measure_software
from gateway.model.ledger_api import IdentityReply, SoftwareReply
from gateway.smart_agent.client import AgentClient
from ledger.codec.text import format_address, parse_address
from ledger.types.identity_bodies import NameOwner, RetireNode
from ledger.types.time_text import format_time_ms
from ledger.types.transaction import Body


def show(options: argparse.Namespace) -> int:
    """Print what the chain knows of a node, and of the software that runs here."""
    home = home_of(options)
    agent = AgentClient(home.agent_socket)
    keys, running = agent.describe(), agent.running_instance()
    own = keys.node
    node = own if options.node is None else parse_address(options.node)
    measurement = measure_software()
    with Operator(home) as operator:
        known = operator.ask("identity", {"address": node.hex()}, IdentityReply)
        software = operator.ask("software", {"id": measurement.hex()}, SoftwareReply)
    fields = {
        "node": format_address(node),
        "standing": _standing(known),
        "owner": _address(known.owner),
        "successor": _address(known.successor),
        "lease_instance": known.lease_instance or None,
        "lease_until": format_time_ms(known.lease_until_ms) if known.lease_instance else None,
    }
    if node == own:
        fields |= {
            "metering": format_address(keys.metering),
            "instance": running.instance.hex(),
            "instance_standing": running.standing,
            "software": measurement.hex(),
            "software_listed": software.label if software.listed else "no",
        }
    words = [f"{name.replace('_', ' '):<18}{value or '-'}" for name, value in fields.items()]
    emit(options, fields, "\n".join(words))
    return 0


def owner(options: argparse.Namespace) -> int:
    """Hand a node that this wallet owns on to another account."""
    body = NameOwner(parse_address(options.node), parse_address(options.owner))
    return _send(options, body, f"{options.owner} owns the node now")


def retire(options: argparse.Namespace) -> int:
    """End the identity of a node that this wallet owns, for ever."""
    if not options.for_ever:
        raise SettingsError("a retired node never comes back: say --for-ever if you mean it")
    node = parse_address(options.node)
    successor = None if options.successor is None else parse_address(options.successor)
    return _send(options, RetireNode(node, successor), "the node is retired for ever")


def _send(options: argparse.Namespace, body: Body, done: str) -> int:
    home = home_of(options)
    with Operator(home) as operator:
        transaction_id, _, _ = WalletAccount(home, operator).send(body)
        reply = operator.wait_final(transaction_id)
    check_applied(transaction_id, reply)
    emit(
        options,
        {"id": transaction_id, "height": reply.height},
        f"{done}: final in block {reply.height}, id {transaction_id}",
    )
    return 0


def _standing(known: IdentityReply) -> str:
    if known.retired_height:
        return f"retired in block {known.retired_height}"
    return "registered" if known.registered else "not registered"


def _address(text: str) -> str | None:
    return format_address(bytes.fromhex(text)) if text else None
