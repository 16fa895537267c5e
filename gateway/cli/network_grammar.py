"""The grammar of `init` and `genesis`: a node's home, and the network that it founds or joins."""

from pathlib import Path

from gateway.cli.grammar import Commands, command, home, json
from ledger.params import HEARTBEAT_MS, SLOT_MS


def add_network_commands(commands: Commands) -> None:
    """Add them."""
    _add_init(commands)
    _add_genesis(commands)


def _add_init(commands: Commands) -> None:
    init = command(commands, "init", "gateway.cli.node:init", "make a home folder and its identity")
    home(init).add_argument("--name", default="gateway", help="the gateway's name in topics")
    init.add_argument(
        "--listen", default="127.0.0.1:1883", metavar="HOST:PORT", help="where devices connect"
    )
    init.add_argument(
        "--key",
        default="file:sealed.key",
        metavar="URI",
        help="where the keys are made: a sealed file, or pkcs11:token=...?module-path=...",
    )
    network = init.add_mutually_exclusive_group(required=True)
    network.add_argument(
        "--new-network", action="store_true", help="found a chain with this node alone"
    )
    network.add_argument(
        "--join", type=Path, metavar="GENESIS", help="become a node of the chain of this file"
    )
    network.add_argument(
        "--card",
        action="store_true",
        help="only make the identity, and a card to found a chain with",
    )
    init.add_argument(
        "--checkpoint", metavar="EPOCH:HASH", help="start there, with a state that peers give"
    )
    init.add_argument(
        "--light",
        action="store_true",
        help="follow headers and certificates only, by way of --peer",
    )
    init.add_argument(
        "--snapshot", type=Path, metavar="FILE", help="with --checkpoint: start from this state"
    )
    init.add_argument(
        "--ledger-listen", default="", metavar="HOST:PORT", help="where other nodes connect"
    )
    init.add_argument(
        "--peer", action="append", default=[], metavar="NODE@HOST:PORT", help="a node to dial"
    )
    init.add_argument(
        "--foundation", metavar="ADDRESS", help="the key whose grants the new network asks for"
    )
    json(init)


def _add_genesis(commands: Commands) -> None:
    genesis = command(
        commands,
        "genesis",
        "gateway.cli.network:genesis",
        "make the genesis of a network from the cards of its first agents",
    )
    genesis.add_argument("cards", nargs="+", type=Path, metavar="CARD", help="a node's card.json")
    genesis.add_argument("--name", default="smartshare", help="the network's name")
    genesis.add_argument("--slot-ms", type=int, default=SLOT_MS, help="the block interval")
    genesis.add_argument(
        "--heartbeat-ms", type=int, default=HEARTBEAT_MS, help="the longest one without work"
    )
    genesis.add_argument(
        "--foundation", metavar="ADDRESS", help="the key whose grants the network asks for"
    )
    genesis.add_argument("-o", "--output", type=Path, default=Path("genesis.json"), metavar="FILE")
    json(genesis)
