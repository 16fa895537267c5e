"""The grammar of `identity`, `grant` and `software`: what a foundation, a manufacturer and a node's owner type."""

from pathlib import Path

from gateway.cli.grammar import Commands, Parser, command, group, home, json

CAUSES = ("key-compromised", "device-stolen", "ceased", "defect", "breach")
ROLES = ("agent", "full", "light")


def add_identity_commands(commands: Commands) -> None:
    """Add `identity`, `grant` and `software`."""
    _add_identity(group(commands, "identity", "a node on the chain: its lease, its owner, its end"))
    grant = group(commands, "grant", "issue, show, install and revoke grants of identity")
    _add_issuing(grant)
    _add_revoking(grant)
    software = group(commands, "software", "measure the software; list measurements on the chain")
    json(command(software, "measure", "gateway.cli.software:measure", "print the measurement"))
    for name, summary in (("list", "put a measurement on the chain's list"), ("unlist", "remove")):
        listing = command(software, name, f"gateway.cli.software:{name}_measurement", summary)
        json(home(_issuer(listing))).add_argument("measurement", metavar="HASH")
        if name == "list":
            listing.add_argument("--label", required=True, metavar="TEXT")


def _add_identity(identity: Commands) -> None:
    show = command(identity, "show", "gateway.cli.identity:show", "what the chain knows of a node")
    json(home(show)).add_argument("node", nargs="?", metavar="NODE", help="default: this one")
    owner = command(identity, "owner", "gateway.cli.identity:owner", "hand a node of ours on")
    json(home(owner)).add_argument("node", metavar="NODE")
    owner.add_argument("owner", metavar="ADDRESS", help="the account that owns it from then on")
    retire = command(identity, "retire", "gateway.cli.identity:retire", "end a node's identity")
    json(home(retire)).add_argument("node", metavar="NODE")
    retire.add_argument("--successor", metavar="NODE", help="the node that replaces it")
    retire.add_argument("--for-ever", action="store_true", help="a retired node never comes back")


def _issuer(parser: Parser, *, is_required: bool = True) -> Parser:
    parser.add_argument(
        "--key", type=Path, required=is_required, metavar="FILE", help="a sealed key"
    )
    parser.add_argument(
        "--passphrase-file", type=Path, metavar="FILE", help="instead of asking for the passphrase"
    )
    return parser


def _add_issuing(grant: Commands) -> None:
    new_key = command(grant, "new-key", "gateway.cli.grants:new_key", "make an issuer's key")
    json(_issuer(new_key))
    address = command(grant, "address", "gateway.cli.grants:address", "print a key's address")
    json(_issuer(address))
    issue = command(grant, "issue", "gateway.cli.grants:issue", "grant an identity")
    json(_issuer(issue))
    issue.add_argument("level", choices=("manufacturer", "unit"))
    issue.add_argument("subject", metavar="ADDRESS", help="the manufacturer's key or the node id")
    issue.add_argument("--genesis", type=Path, required=True, metavar="FILE")
    issue.add_argument("--role", action="append", required=True, choices=ROLES)
    issue.add_argument("--model", action="append", required=True, metavar="NAME")
    issue.add_argument("--days", type=int, required=True, metavar="N", help="how long it is valid")
    issue.add_argument("--from", dest="start", metavar="TIME", help="UTC; default: now")
    issue.add_argument("-o", "--output", type=Path, metavar="FILE", help="default: print it")
    show = command(
        grant, "show", "gateway.cli.grants:show", "print a grant and judge its signature"
    )
    json(show).add_argument("file", type=Path)
    install = command(
        grant, "install", "gateway.cli.grants:install", "let this node show its two grants"
    )
    json(home(install)).add_argument("manufacturer", type=Path, metavar="MANUFACTURER_FILE")
    install.add_argument("unit", type=Path, metavar="UNIT_FILE")


def _add_revoking(grant: Commands) -> None:
    revoke = command(
        grant, "revoke", "gateway.cli.grants:revoke", "take a grant back, on the chain"
    )
    json(home(_issuer(revoke))).add_argument("file", type=Path)
    revoke.add_argument("--cause", required=True, choices=CAUSES)
    revoke.add_argument("--note", default="", metavar="TEXT", help="for everybody to read")
    appeal = command(
        grant, "appeal", "gateway.cli.grants:appeal", "object to a revocation, on the chain"
    )
    json(home(_issuer(appeal, is_required=False))).add_argument("grant", metavar="FILE_OR_ID")
    appeal.add_argument("statement")
    appeal.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="sign only; another node hands it in"
    )
    decide = command(grant, "decide", "gateway.cli.grants:decide", "close an appeal, on the chain")
    json(home(_issuer(decide))).add_argument("grant", metavar="FILE_OR_ID")
    verdict = decide.add_mutually_exclusive_group(required=True)
    verdict.add_argument("--reinstate", action="store_true", help="the grant counts again")
    verdict.add_argument("--uphold", action="store_true", help="it stays revoked")
    decide.add_argument("--note", default="", metavar="TEXT")
    status = command(grant, "status", "gateway.cli.grants:status", "what the chain says of a grant")
    json(home(status)).add_argument("grant", metavar="FILE_OR_ID")
