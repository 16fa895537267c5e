"""Makes an agent's folder, and opens it for one process at a time.

agent/  (0700)  unlock, sealed.key, guard, lock, alarm, instance, onion.json, agent.json  (all 0600),
audit/  (0700)
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from gateway.clock import Clock, SystemClock
from gateway.errors import AgentError
from gateway.smart_agent.agent import Agent
from gateway.smart_agent.alarm import AlarmFile
from gateway.smart_agent.audit.log import AuditLog
from gateway.smart_agent.binding import Binding, create_binding, open_binding
from gateway.smart_agent.guard import SignGuard, create_guard_file, read_guard_file
from gateway.smart_agent.host import read_host
from gateway.smart_agent.instance import InstanceFile
from gateway.smart_agent.judge import EPOCH_MAX, FIRST_RECORD, SLOT_MAX, SignRecord
from gateway.smart_agent.keys import AgentKeys, KeyPlace, KeyProvider, describe_keys
from gateway.smart_agent.lease_desk import LeaseDesk
from gateway.smart_agent.metering_desk import MeteringDesk
from gateway.smart_agent.onion_desk import OnionDesk
from gateway.smart_agent.private_files import give_to_owner_of, make_private_folder
from gateway.smart_agent.providers.registry import DEFAULT_URI, make_keys, open_keys
from gateway.smart_agent.sealed_key import LEAST, MODERATE, KdfLimits
from gateway.smart_agent.spending_desk import SpendingDesk, set_owner
from gateway.smart_agent.stale_record import check_record
from gateway.smart_agent.unlock import UnlockSource, create_unlock, find_unlock
from gateway.smart_agent.unlock_change import change_unlock, finish_change

_KEY_FILES = ("sealed.key", "onion.key")
_GUARD_FILE = "guard"
BINDING_FILE = "agent.json"
_LOCK_FILE = "lock"
_ALARM_FILE = "alarm"
_INSTANCE_FILE = "instance"
PAGES_FILE = "metering-pages"
_ONION_FILE = "onion.json"
AUDIT_FOLDER = "audit"

QUARANTINE_EPOCHS = 2  # a copy that still runs is heard of, and the set without it takes over


def create_agent(
    folder: Path,
    unlock: UnlockSource,
    limits: KdfLimits = MODERATE,
    key_uri: str = DEFAULT_URI,
) -> AgentKeys:
    """Make a new agent in `folder` and return its public keys; never overwrites another one.

    `limits` are for an unlock secret that is there already; one that is made here needs the least.
    """
    make_private_folder(folder)
    with _locked(folder), _new_keys(folder, unlock, limits, key_uri) as keys:
        return describe_keys(keys, chain_id=None)


def is_agent_there(folder: Path) -> bool:
    """Tell whether a whole SmartAgent was made in `folder`: its last file is there."""
    return (folder / BINDING_FILE).exists()


@contextmanager
def open_agent(folder: Path, unlock: UnlockSource, clock: Clock | None = None) -> Iterator[Agent]:
    """Open an agent for as long as the block runs; raise `AgentError` when it cannot sign safely."""
    if not is_agent_there(folder):
        raise AgentError(f"there is no SmartAgent in {folder}: run `smartshare init` first")
    make_private_folder(folder)
    clock = clock or SystemClock()
    with _locked(folder), _kept_keys(folder, unlock) as keys, _agent(folder, keys, clock) as agent:
        yield agent


@contextmanager
def take_up_agent(
    folder: Path, unlock: UnlockSource, key_uri: str = DEFAULT_URI
) -> Iterator[Agent]:
    """Open the agent of `folder`; where there is none, make it first. Its keys are unsealed once."""
    make_private_folder(folder)
    with _locked(folder):
        opening = (
            _kept_keys(folder, unlock)
            if is_agent_there(folder)
            else _new_keys(folder, unlock, MODERATE, key_uri)
        )
        with opening as keys, _agent(folder, keys, SystemClock()) as agent:
            yield agent


@contextmanager
def locked_binding(folder: Path) -> Iterator[Binding]:
    """Keep the agent from running while the block runs; yield what its folder says about itself."""
    if not is_agent_there(folder):
        raise AgentError(f"there is no SmartAgent in {folder}: run `smartshare init` first")
    with _locked(folder):
        binding = open_binding(folder / BINDING_FILE)
        finish_change(binding.key_uri, KeyPlace(folder, find_unlock(folder)))
        yield binding


def set_unlock(place: KeyPlace, new_secret: bytes | None) -> tuple[Path, ...]:
    """Seal the keys under another unlock secret while the agent does not run; return their files."""
    with locked_binding(place.folder) as binding:
        return change_unlock(binding.key_uri, place, new_secret)


def set_wallet_owner(folder: Path, passphrase: bytes) -> None:
    """Set the passphrase of the wallet's owner, once, while the agent does not run."""
    with locked_binding(folder):
        set_owner(folder, passphrase)


def renew_guard(folder: Path, epoch: int, slot: int) -> None:
    """Replace a lost guard record: this key votes from (epoch, slot) on.

    For a person who knows that every earlier vote of the key was before that point, as after a
    restore from a backup. Raises `AgentError` when a readable record says otherwise.
    """
    with _locked(folder):
        _set_guard(folder / _GUARD_FILE, epoch, slot)


def quarantine(folder: Path, current_epoch: int) -> SignRecord:
    """Set the record behind every vote that another copy of this key may have given; lift an alarm.

    The network is in `current_epoch`; voting starts again with slot 0 of the epoch after the next.
    Raises `AgentError` when the record is further already.
    """
    with _locked(folder):
        record = _set_guard(folder / _GUARD_FILE, current_epoch + QUARANTINE_EPOCHS, 0)
        AlarmFile.remove(folder / _ALARM_FILE)
    return record


def show_guard(folder: Path) -> tuple[SignRecord, str | None]:
    """Return the sign guard's record and the line of a standing alarm; the agent may be running."""
    return read_guard_file(folder / _GUARD_FILE).record, AlarmFile(folder / _ALARM_FILE).line


def _set_guard(path: Path, epoch: int, slot: int) -> SignRecord:
    if not (0 <= epoch <= EPOCH_MAX and 0 <= slot <= SLOT_MAX):
        raise AgentError(f"epoch {epoch} slot {slot} is out of range: look at the chain's status")
    if path.exists():
        record = read_guard_file(path).record
        if (epoch, slot) <= (record.epoch, record.slot):
            newest = f"epoch {record.epoch} slot {record.slot}"
            raise AgentError(f"{path} is at {newest}: it cannot be set back or kept")
    record = SignRecord(epoch, slot)
    create_guard_file(path, record)
    return record


@contextmanager
def _new_keys(
    folder: Path, unlock: UnlockSource, limits: KdfLimits, key_uri: str
) -> Iterator[KeyProvider]:
    """Make the files of a new agent, the binding last, and yield its keys. The folder is locked."""
    for name in (BINDING_FILE, _GUARD_FILE, *_KEY_FILES):
        if (folder / name).exists():
            raise AgentError(f"{folder} already holds a SmartAgent ({name}): keep it")
    is_secret_ours = create_unlock(unlock)
    place = KeyPlace(folder, unlock, LEAST if is_secret_ours else limits)
    with closing(make_keys(key_uri, place)) as keys:
        create_guard_file(folder / _GUARD_FILE, FIRST_RECORD)
        create_binding(folder / BINDING_FILE, key_uri)
        yield keys


@contextmanager
def _kept_keys(folder: Path, unlock: UnlockSource) -> Iterator[KeyProvider]:
    """Finish a change of the unlock secret, and yield the keys. The folder is locked."""
    key_uri = open_binding(folder / BINDING_FILE).key_uri
    place = KeyPlace(folder, unlock)
    finish_change(key_uri, place)
    with closing(open_keys(key_uri, place)) as keys:
        yield keys


@contextmanager
def _agent(folder: Path, keys: KeyProvider, clock: Clock) -> Iterator[Agent]:
    """Put an agent together from its open keys and its files. The folder is locked."""
    binding = open_binding(folder / BINDING_FILE)
    alarm = AlarmFile(folder / _ALARM_FILE)
    with (
        SignGuard(folder / _GUARD_FILE) as guard,
        AuditLog(folder / AUDIT_FOLDER, clock) as audit,
    ):
        lease = LeaseDesk(InstanceFile(folder / _INSTANCE_FILE, read_host(folder)))
        check_record(guard.record, audit.newest_votes, binding.chain_id)
        onions = OnionDesk(folder / _ONION_FILE, keys.onion_secret, binding.slot_ms, clock)
        yield Agent(
            keys,
            binding,
            guard=guard,
            alarm=alarm,
            audit=audit,
            onions=onions,
            clock=clock,
            lease=lease,
            spending=SpendingDesk(folder, clock),
            metering=MeteringDesk(folder / PAGES_FILE, keys.onion_secret),
        )


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder for this process; the kernel lets go of it when the process ends."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        descriptor = os.open(folder / _LOCK_FILE, flags, 0o600)
        give_to_owner_of(folder, descriptor)
    except OSError as error:
        raise AgentError(f"cannot lock {folder}: {error.strerror}") from None
    try:
        _flock(folder, descriptor)
        yield
    finally:
        os.close(descriptor)


def _flock(folder: Path, descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise AgentError(f"another SmartAgent runs on {folder}: stop it first") from None
