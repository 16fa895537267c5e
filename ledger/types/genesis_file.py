"""The genesis as people read and write it: strict JSON, addresses as text, times as ISO 8601.

The file is a view: a chain's id is over the canonical bytes of the `Genesis` it stands for, so white
space in the file changes nothing. Every refusal is one line with the field and what to write there.
"""

import json
import re
from collections.abc import Sequence
from typing import TypeVar

import msgspec

from ledger.codec.canonical import Decoder, encode
from ledger.codec.text import format_address, parse_address
from ledger.crypto.domains import NO_HASH, chain_id
from ledger.crypto.ed25519 import is_public_key
from ledger.errors import CodecError, GenesisError
from ledger.params import AMOUNT_MAX, PROTOCOL_VERSION
from ledger.types.genesis import Allocation, Genesis, GenesisAgent
from ledger.types.time_text import TIME_TEXT_MAX_MS, format_time_ms, parse_time_ms

GENESIS_TEXT_CHARS_MAX = 1024 * 1024  # 99 agents and several thousand first balances
_COUNTER_MAX = 2**63 - 1  # of `Counter`
_NAME_CHARS_IN_ERROR = 60


class _AgentText(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    node: str
    consensus: str
    metering: str
    bond: int = 0
    onion: str = ""


class _AllocationText(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    address: str
    amount: int


class _GenesisText(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    version: int
    name: str
    time: str | int
    slot_ms: int
    heartbeat_ms: int
    agents: tuple[object, ...]
    allocations: tuple[object, ...]
    reward_pool: int
    epoch_blocks: int
    epoch_ms: int
    foundation: str | None = None


_T = TypeVar("_T", bound=msgspec.Struct)
_WHAT_TO_WRITE = {
    "version": f"write {PROTOCOL_VERSION}",
    "name": "write a name of 1 to 48 characters",
    "time": 'write a UTC time such as "2026-01-31T12:00:00Z", or Unix milliseconds',
    "slot_ms": "write the block interval, 100 to 60000 milliseconds",
    "heartbeat_ms": "write the longest block interval without work, slot_ms to 600000 milliseconds",
    "agents": "write a list of 1 to 99 agents, each with node, consensus and metering",
    "node": "write the node's address, ssp1...",
    "consensus": "write the address of the agent's consensus key, ssp1...",
    "metering": "write the address of the agent's metering key, ssp1...",
    "allocations": "write a list of balances, each with address and amount; it may be empty",
    "address": "write an account's address, ssp1...",
    "foundation": "write the address of the foundation's key, ssp1..., or leave it out",
    "bond": f"write base units, an integer from 0 to {AMOUNT_MAX}",
    "onion": "write the agent's commitment, 64 hexadecimal digits, or leave it out",
    "reward_pool": f"write base units, an integer from 0 to {AMOUNT_MAX}",
    "epoch_blocks": "write how many blocks an epoch has, 1 to 100000",
    "epoch_ms": "write how long an epoch lasts at most, 1000 to 604800000 milliseconds",
    "amount": f"write base units, an integer from 0 to {AMOUNT_MAX}",
}
_SHAPE = "write one JSON object with " + ", ".join(_GenesisText.__struct_fields__)
_NAMES_IN_FILE = {"time_ms": "time"}
_decoder = Decoder(Genesis)


def parse_genesis(text: str) -> Genesis:
    """Return the genesis that `text` stands for; raise `GenesisError` with one line otherwise."""
    if len(text) > GENESIS_TEXT_CHARS_MAX:
        raise GenesisError(f"genesis: longer than {GENESIS_TEXT_CHARS_MAX} characters")
    parsed = _parse_json(text)
    _check_release(parsed)
    fields = _convert(parsed, _GenesisText, "")
    genesis = Genesis(
        version=fields.version,
        name=fields.name,
        time_ms=_parse_time(fields.time),
        slot_ms=fields.slot_ms,
        heartbeat_ms=fields.heartbeat_ms,
        agents=tuple(
            _parse_agent(f"agents[{index}]", agent) for index, agent in enumerate(fields.agents)
        ),
        allocations=tuple(
            _parse_allocation(f"allocations[{index}]", allocation)
            for index, allocation in enumerate(fields.allocations)
        ),
        foundation=(
            None if fields.foundation is None else _parse_address("foundation", fields.foundation)
        ),
        reward_pool=fields.reward_pool,
        epoch_blocks=fields.epoch_blocks,
        epoch_ms=fields.epoch_ms,
    )
    check_genesis(genesis)
    return genesis


def format_genesis(genesis: Genesis) -> str:
    """Return the canonical file text; `parse_genesis` of it gives the same genesis back."""
    fields = _GenesisText(
        version=genesis.version,
        name=genesis.name,
        # Years of more than four digits have no ISO text that everybody reads: a number instead.
        time=format_time_ms(genesis.time_ms)
        if genesis.time_ms <= TIME_TEXT_MAX_MS
        else genesis.time_ms,
        slot_ms=genesis.slot_ms,
        heartbeat_ms=genesis.heartbeat_ms,
        agents=tuple(_format_agent(agent) for agent in genesis.agents),
        allocations=tuple(
            _AllocationText(format_address(item.address), item.amount)
            for item in genesis.allocations
        ),
        reward_pool=genesis.reward_pool,
        epoch_blocks=genesis.epoch_blocks,
        epoch_ms=genesis.epoch_ms,
        foundation=None if genesis.foundation is None else format_address(genesis.foundation),
    )
    return msgspec.json.format(msgspec.json.encode(fields), indent=2).decode() + "\n"


def genesis_chain_id(genesis: Genesis) -> bytes:
    """Return the 32-byte id of the chain that starts from this genesis."""
    return chain_id(encode(genesis))


def check_genesis(genesis: Genesis) -> None:
    """Raise `GenesisError` with one line unless a chain can start from `genesis`."""
    if genesis.version != PROTOCOL_VERSION:
        raise _field_error("version", "not known here")
    _check_limits(genesis)
    if genesis.heartbeat_ms < genesis.slot_ms:
        raise _field_error("heartbeat_ms", "shorter than slot_ms")
    _check_keys("node", [agent.node for agent in genesis.agents])
    _check_keys("consensus", [agent.consensus for agent in genesis.agents])
    _check_keys("metering", [agent.metering for agent in genesis.agents])
    if genesis.foundation is not None and not is_public_key(genesis.foundation):
        raise _field_error("foundation", "not a usable Ed25519 public key")
    _check_distinct(
        [f"allocations[{index}].address" for index in range(len(genesis.allocations))],
        [allocation.address for allocation in genesis.allocations],
    )
    if compute_supply(genesis) > AMOUNT_MAX:
        raise GenesisError(
            f"genesis: field allocations: with bonds and reward_pool they exceed {AMOUNT_MAX}: lower"
            " them"
        )


def compute_supply(genesis: Genesis) -> int:
    """Return all SSP of the chain, in base units."""
    allocated = sum(allocation.amount for allocation in genesis.allocations)
    return allocated + sum(agent.bond for agent in genesis.agents) + genesis.reward_pool


def _parse_json(text: str) -> object:
    try:
        parsed: object = json.loads(text, object_pairs_hook=_refuse_repeated_names)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno}"
        raise GenesisError(f"genesis: not JSON at {where}: {error.msg}: correct it there") from None
    except (ValueError, RecursionError):
        raise GenesisError("genesis: a number is too long or lists nest too deep") from None
    return parsed


def _check_release(parsed: object) -> None:
    """Tell a chain of another release from a mistake in the file: its fields are others."""
    version = parsed.get("version") if isinstance(parsed, dict) else None
    if isinstance(version, int) and version != PROTOCOL_VERSION:
        raise GenesisError(
            f"genesis: field version: {version} is of a chain with other rules than this program's"
            f" ({PROTOCOL_VERSION}): run the release that made it, or begin a new network in a new"
            " home folder"
        )


def _refuse_repeated_names(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields: dict[str, object] = {}
    for name, value in pairs:
        if name in fields:
            raise GenesisError(
                f"genesis: field {name[:_NAME_CHARS_IN_ERROR]!r} stands twice: remove one"
            )
        fields[name] = value
    return fields


def _convert(value: object, kind: type[_T], path: str) -> _T:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        problem, _, inner = str(error).partition(" - at `$")
    name = re.search(r"(required|unknown) field `(.*)`", problem)
    field = f"{path}.{name[2] if name else inner.strip('.`')}".strip(".")
    if not field or field == path:
        if path:
            raise _field_error(path, "not a JSON object")
        raise GenesisError(f"genesis: not one JSON object: {_SHAPE}")
    if name and name[1] == "unknown":
        field = field[:_NAME_CHARS_IN_ERROR]
        raise GenesisError(f"genesis: field {field!r} is not known: remove it or correct its name")
    raise _field_error(field, "missing" if name else problem)


def _field_error(field: str, problem: str) -> GenesisError:
    """Return the line for a field named like `agents[2].node`: what is wrong, what to write."""
    last_name = re.findall(r"[a-z_]+", field)[-1]
    return GenesisError(f"genesis: field {field}: {problem}: {_WHAT_TO_WRITE[last_name]}")


def _parse_time(time: str | int) -> int:
    if isinstance(time, int):
        return time
    try:
        return parse_time_ms(time)
    except CodecError as error:
        raise GenesisError(f"genesis: field time: {error}") from None


def _parse_address(field: str, text: str) -> bytes:
    try:
        return parse_address(text)
    except CodecError as error:
        raise _field_error(field, str(error)) from None


def _parse_agent(field: str, value: object) -> GenesisAgent:
    agent = _convert(value, _AgentText, field)
    return GenesisAgent(
        node=_parse_address(f"{field}.node", agent.node),
        consensus=_parse_address(f"{field}.consensus", agent.consensus),
        metering=_parse_address(f"{field}.metering", agent.metering),
        bond=_parse_bond(f"{field}.bond", agent.bond),
        onion=_parse_onion(f"{field}.onion", agent.onion),
    )


def _parse_bond(field: str, bond: int) -> int:
    if not 0 <= bond <= AMOUNT_MAX:
        raise _field_error(field, "out of range")
    return bond


def _parse_onion(field: str, text: str) -> bytes:
    if not text:
        return NO_HASH
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        raise _field_error(field, "not 64 hexadecimal digits")
    return bytes.fromhex(text)


def _format_agent(agent: GenesisAgent) -> _AgentText:
    return _AgentText(
        node=format_address(agent.node),
        consensus=format_address(agent.consensus),
        metering=format_address(agent.metering),
        bond=agent.bond,
        onion="" if agent.onion == NO_HASH else agent.onion.hex(),
    )


def _parse_allocation(field: str, value: object) -> Allocation:
    allocation = _convert(value, _AllocationText, field)
    address = _parse_address(f"{field}.address", allocation.address)
    if not 0 <= allocation.amount <= AMOUNT_MAX:
        raise _field_error(f"{field}.amount", "out of range")
    return Allocation(address, allocation.amount)


def _check_limits(genesis: Genesis) -> None:
    """Hold every value against the limits that the `Genesis` struct declares."""
    for field in ("time_ms", "slot_ms", "heartbeat_ms", "reward_pool", "epoch_blocks", "epoch_ms"):
        if not 0 <= getattr(genesis, field) <= _COUNTER_MAX:
            raise _field_error(_NAMES_IN_FILE.get(field, field), "out of range")
    try:
        _decoder.decode(encode(genesis))
    except CodecError as error:
        raise _field_error(_find_field(str(error)), "out of range") from None
    except UnicodeEncodeError:
        raise _field_error("name", "has a character that is not Unicode") from None


def _find_field(message: str) -> str:
    """Return the file's name of the field that a decoder names by its position, as `$[3]`."""
    position = re.search(r"\$\[(\d+)\]", message)
    assert position is not None, f"no field has this problem: {message}"
    field = Genesis.__struct_fields__[int(position[1])]
    return _NAMES_IN_FILE.get(field, field)


def _check_keys(name: str, keys: Sequence[bytes]) -> None:
    fields = [f"agents[{index}].{name}" for index in range(len(keys))]
    for field, key in zip(fields, keys, strict=True):
        if not is_public_key(key):
            raise _field_error(field, "not a usable Ed25519 public key")
    _check_distinct(fields, keys)


def _check_distinct(fields: Sequence[str], keys: Sequence[bytes]) -> None:
    first_field: dict[bytes, str] = {}
    for field, key in zip(fields, keys, strict=True):
        if key in first_field:
            raise GenesisError(
                f"genesis: field {field}: the same as {first_field[key]}: remove one"
            )
        first_field[key] = field
