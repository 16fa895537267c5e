"""`genesis`: founding a network of several nodes."""

import argparse

from gateway.app.founding import NetworkOptions, found_network, read_card
from gateway.cli.output import emit
from gateway.clock import SystemClock
from gateway.errors import SettingsError
from gateway.settings import write_atomic
from ledger.codec.text import parse_address
from ledger.types.genesis_file import format_genesis, genesis_chain_id


def genesis(options: argparse.Namespace) -> int:
    """Make a genesis from the cards of the first agents."""
    if options.output.exists():
        raise SettingsError(
            f"{options.output} exists: a genesis is never replaced; name another file"
        )
    cards = [read_card(path) for path in options.cards]
    foundation = None if options.foundation is None else parse_address(options.foundation)
    terms = NetworkOptions(options.slot_ms, options.heartbeat_ms, foundation=foundation)
    made = found_network(cards, options.name, SystemClock(), terms)
    try:
        write_atomic(options.output, format_genesis(made).encode())
    except OSError as error:
        raise SettingsError(f"{options.output}: cannot be written: {error.strerror}") from None
    chain = genesis_chain_id(made).hex()
    emit(
        options,
        {"file": str(options.output), "chain_id": chain, "agents": len(made.agents)},
        f"{options.output} founds chain {chain[:16]} with {len(made.agents)} agents. Give it to each of "
        "them: `smartshare init --home DIR --join FILE`.",
    )
    return 0
