"""`chain proof`, `chain verify-proof`: a balance or record of the state, proven to who has no node."""

import argparse
import json
from pathlib import Path

import msgspec

from gateway.app.amounts import format_ssp
from gateway.app.operator import Operator
from gateway.cli.output import emit, home_of
from gateway.errors import GatewayError, SettingsError
from gateway.ledger_host.genesis import load_genesis, read_genesis
from gateway.model.stake_api import ProofReply
from gateway.settings import write_atomic
from ledger.codec.canonical import Decoder
from ledger.codec.text import format_address, parse_address
from ledger.errors import CodecError
from ledger.light import BrokenLink, StateEvidence, build_state_file, verify_state_file
from ledger.state.keys import account_key, agent_key, device_key, node_key
from ledger.types.records import Account, Device, Node
from ledger.types.stake import Agent
from ledger.types.time_text import format_time_ms

_evidence = Decoder(StateEvidence)
_KINDS = {"account": account_key, "node": node_key, "agent": agent_key, "device": device_key}
_RECORDS: dict[bytes, type[msgspec.Struct]] = {
    b"a": Account,
    b"n": Node,
    b"g": Agent,
    b"d": Device,
}
FILE_BYTES_MAX = 16 * 1024 * 1024


def proof(options: argparse.Namespace) -> int:
    """Write a proof of what the newest final state holds; it is verified before it is handed out."""
    home = home_of(options)
    key = _parse_key(options.kind, options.subject)
    with Operator(home) as operator:
        reply = operator.ask("proof", {"id": key.hex()}, ProofReply)
    genesis = load_genesis(home)
    text = build_state_file(genesis, _evidence.decode(bytes.fromhex(reply.evidence)))
    verdict = verify_state_file(text.encode(), genesis)
    if isinstance(verdict, BrokenLink):
        raise GatewayError(f"the ledger's own proof does not hold: {verdict}")
    if options.output is None:
        print(text, end="")
    else:
        write_atomic(options.output, text.encode())
        print(f"{options.output}: {options.kind} {options.subject} as of block {reply.height}")
    return 0


def verify(options: argparse.Namespace) -> int:
    """Verify a proof of the state offline against a genesis."""
    genesis = read_genesis(options.genesis)
    verdict = verify_state_file(_read(options.file), genesis)
    if isinstance(verdict, BrokenLink):
        emit(
            options,
            {"valid": False, "link": verdict.link.value, "detail": verdict.detail},
            f"NOT VALID  {options.file}\n  broken link: {verdict}",
        )
        return 1
    record = _describe(verdict.key, verdict.value)
    fields = {
        "valid": True,
        "key": verdict.key.hex(),
        "record": record,
        "height": verdict.block_height,
        "time": format_time_ms(verdict.block_time_ms),
        "signers": [format_address(node) for node in verdict.signers],
    }
    emit(
        options,
        fields,
        f"VALID  {options.file}\n  {json.dumps(record)}\n  as of block {verdict.block_height},"
        f" {fields['time']}, final by {len(verdict.signers)} agents",
    )
    return 0


def _parse_key(kind: str, subject: str) -> bytes:
    if kind in {"account", "node", "agent"}:
        return _KINDS[kind](parse_address(subject))
    try:
        value = bytes.fromhex(subject)
    except ValueError:
        raise SettingsError(f"{subject!r} is not hexadecimal text") from None
    if kind == "device":
        if len(value) != 32:
            raise SettingsError(f"{subject!r} is not the id of a device: 64 hexadecimal digits")
        return device_key(value)
    return value


def _describe(key: bytes, value: bytes | None) -> object:
    """Return a record in words where its kind is known, else its bytes as hexadecimal."""
    if value is None:
        return None
    kind = _RECORDS.get(key[:1])
    if kind is None:
        return value.hex()
    try:
        record = Decoder(kind).decode(value)
    except CodecError:
        return value.hex()
    if isinstance(record, Account):
        return {"balance": format_ssp(record.balance), "nonce": record.nonce}
    fields = msgspec.structs.asdict(record)
    return {name: _to_text(field) for name, field in fields.items()}


def _to_text(field: object) -> object:
    return field.hex() if isinstance(field, bytes) else str(field)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from None
    if len(data) > FILE_BYTES_MAX:
        raise SettingsError(f"{path}: more than {FILE_BYTES_MAX} bytes: this is no proof")
    return data
