"""`grant`: identities granted by a foundation or a manufacturer, and revoked on the chain."""

import argparse
from pathlib import Path

from gateway.app.issuer import GrantTerms, create_issuer_key, issue_grant
from gateway.app.operator import Operator
from gateway.app.own_grants import install_grants
from gateway.cli.issuer_key import open_key, send_by_node, send_signed, write_by_node
from gateway.cli.output import emit, home_of
from gateway.cli.passphrase import passphrase_of
from gateway.clock import SystemClock
from gateway.errors import SettingsError
from gateway.ledger_host.genesis import load_genesis, read_genesis
from gateway.ledger_host.grant_files import format_grant, load_grant
from gateway.model.ledger_api import RevocationReply
from gateway.settings import write_atomic
from gateway.smart_agent.client import AgentClient
from ledger.codec.text import format_address, parse_address
from ledger.crypto import domains
from ledger.crypto.ed25519 import verify_strict
from ledger.identity.grant import Grant, GrantLevel, Role, decode_grant
from ledger.identity.refusals import Refused
from ledger.params import HASH_BYTES
from ledger.types.genesis_file import genesis_chain_id
from ledger.types.identity_bodies import (
    NOTE_LENGTH_MAX,
    AppealRevocation,
    DecideAppeal,
    RevocationCause,
    RevokeGrant,
)
from ledger.types.time_text import format_time_ms, parse_time_ms

DAY_MS = 24 * 3_600_000
DAYS_MAX = 36_500


def new_key(options: argparse.Namespace) -> int:
    """Make an issuer's key under a new passphrase."""
    passphrase = passphrase_of(options, str(options.key), is_new=True)
    key = create_issuer_key(options.key, passphrase)
    return _print_address(options, key.address)


def address(options: argparse.Namespace) -> int:
    """Print the address of an issuer's key."""
    return _print_address(options, open_key(options).address)


def issue(options: argparse.Namespace) -> int:
    """Issue a grant and write it as a line of text."""
    if not 1 <= options.days <= DAYS_MAX:
        raise SettingsError(f"--days {options.days}: from 1 to {DAYS_MAX}")
    start_ms = SystemClock().now_ms() if options.start is None else parse_time_ms(options.start)
    terms = GrantTerms(
        chain_id=genesis_chain_id(read_genesis(options.genesis)),
        level=GrantLevel[options.level.upper()],
        subject=parse_address(options.subject),
        not_before_ms=start_ms,
        not_after_ms=start_ms + options.days * DAY_MS,
        roles=[Role[name.upper()] for name in options.role],
        models=options.model,
    )
    raw = issue_grant(open_key(options), terms)
    text = format_grant(raw)
    if options.output is not None:
        write_atomic(options.output, text.encode() + b"\n")
    grant_id = domains.grant_id(_decode(raw)[1])
    emit(
        options,
        {"id": grant_id.hex(), "grant": text},
        text if options.output is None else f"grant {grant_id.hex()} is in {options.output}",
    )
    return 0


def show(options: argparse.Namespace) -> int:
    """Print what a grant says; exit 1 where it is not signed by its issuer."""
    raw = load_grant(options.file)
    grant, payload, signature = _decode(raw)
    is_signed = verify_strict(grant.issuer, domains.grant_message(payload), signature)
    fields = {
        "id": domains.grant_id(payload).hex(),
        "chain": grant.chain_id.hex(),
        "level": grant.level.name.lower(),
        "issuer": format_address(grant.issuer),
        "subject": format_address(grant.subject),
        "from": format_time_ms(grant.not_before_ms),
        "until": format_time_ms(grant.not_after_ms),
        "roles": [role.name.lower() for role in grant.roles],
        "models": list(grant.models),
        "signature": "good" if is_signed else "bad: not the issuer's",
    }
    words = {
        name: ", ".join(value) if isinstance(value, list) else value
        for name, value in fields.items()
    }
    emit(options, fields, "\n".join(f"{name:<10}{value}" for name, value in words.items()))
    return 0 if is_signed else 1


def install(options: argparse.Namespace) -> int:
    """Check both grants against the genesis and this node, and keep them to be shown."""
    home = home_of(options)
    genesis = load_genesis(home)
    node_id = AgentClient(home.agent_socket).describe().node
    chain = (load_grant(options.manufacturer), load_grant(options.unit))
    unit = install_grants(home, genesis, node_id, chain, SystemClock())
    until = format_time_ms(unit.not_after_ms)
    emit(
        options,
        {"model": unit.model, "until": until, "manufacturer": format_address(unit.manufacturer)},
        f"this node shows its grants as {unit.model} until {until}",
    )
    return 0


def revoke(options: argparse.Namespace) -> int:
    """Revoke a grant on the chain."""
    cause = RevocationCause[options.cause.replace("-", "_").upper()]
    body = RevokeGrant(load_grant(options.file), cause, _note(options.note))
    return send_signed(options, body, "the grant is revoked")


def appeal(options: argparse.Namespace) -> int:
    """Appeal against a revocation with the key that the grant was given to: by default the node's."""
    body = AppealRevocation(_grant_id(options.grant), _note(options.statement))
    if options.output is not None:
        if options.key is not None:
            raise SettingsError("--output is for an appeal by this node: with --key use any node")
        return write_by_node(options, body, "the appeal is signed")
    send = send_by_node if options.key is None else send_signed
    return send(options, body, "the appeal is on record")


def decide(options: argparse.Namespace) -> int:
    """Reinstate a grant or uphold its revocation."""
    body = DecideAppeal(_grant_id(options.grant), options.reinstate, _note(options.note))
    return send_signed(options, body, "reinstated" if options.reinstate else "upheld")


def status(options: argparse.Namespace) -> int:
    """Print what the chain says of a grant."""
    grant_id = _grant_id(options.grant)
    with Operator(home_of(options)) as operator:
        reply = operator.ask("revocation", {"id": grant_id.hex()}, RevocationReply)
    lines = [
        f"grant {grant_id.hex()}: " + ("not revoked" if reply.state == "none" else reply.state)
    ]
    if reply.state != "none":
        by = format_address(bytes.fromhex(reply.by))
        lines.append(f"  revoked in block {reply.height} by {by}: {reply.cause}; {reply.note}")
    if reply.statement:
        lines.append(f"  appeal: {reply.statement}")
    if reply.decided_height:
        lines.append(f"  decided in block {reply.decided_height}: {reply.decision}")
    emit(options, reply, "\n".join(lines))
    return 0


def _print_address(options: argparse.Namespace, key: bytes) -> int:
    text = format_address(key)
    emit(options, {"address": text}, text)
    return 0


def _decode(raw: bytes) -> tuple[Grant, bytes, bytes]:
    """Return a grant that was checked before, its payload and its signature."""
    decoded = decode_grant(raw)
    assert not isinstance(decoded, Refused)
    grant, envelope = decoded
    return grant, envelope.payload, envelope.signature


def _grant_id(text: str) -> bytes:
    """Return a grant's id: of its file, or the hexadecimal text itself."""
    if len(text) == 2 * HASH_BYTES:
        try:
            return bytes.fromhex(text)
        except ValueError:
            pass  # a file's name of that length
    return domains.grant_id(_decode(load_grant(Path(text)))[1])


def _note(text: str) -> str:
    if len(text) > NOTE_LENGTH_MAX:
        raise SettingsError(f"the text has {len(text)} characters; at most {NOTE_LENGTH_MAX}")
    return text
