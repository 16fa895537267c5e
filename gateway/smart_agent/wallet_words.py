"""Showing a wallet's recovery words, and putting a wallet back from them. The agent must not be running.

Only the wallet has words: a node's other keys are replaced with the node, and a second consensus key would
be one more way to sign twice.
"""

from pathlib import Path

from gateway.clock import Clock
from gateway.errors import AgentError
from gateway.smart_agent.audit.entry import EntryKind
from gateway.smart_agent.audit.log import AuditLog
from gateway.smart_agent.keys import KeyPlace, Purpose
from gateway.smart_agent.providers.file import WALLET_FILE, derive_seed, sealed_path
from gateway.smart_agent.provision import AUDIT_FOLDER, locked_binding
from gateway.smart_agent.recovery_words import seed_of, words_of
from gateway.smart_agent.sealed_key import open_sealed_key, seal_secret
from gateway.smart_agent.unlock import load_unlock
from ledger.crypto.ed25519 import derive_public_key


def export_words(place: KeyPlace, clock: Clock) -> str:
    """Return the 24 words of the wallet key; the audit log says that they were shown."""
    with locked_binding(place.folder) as binding:
        seed = _wallet_seed(_file_uri(binding.key_uri), place)
        _note(place.folder, clock, EntryKind.WORDS_SHOWN, derive_public_key(seed))
    return words_of(seed)


def import_words(place: KeyPlace, words: str, clock: Clock) -> bytes:
    """Make the wallet of `words` this node's wallet; return its public key.

    The wallet that it replaces stays derived from the root key: removing `wallet.key` brings it back.
    """
    seed = seed_of(words)
    with locked_binding(place.folder) as binding:
        _file_uri(binding.key_uri)
        path = place.folder / WALLET_FILE
        if path.exists():
            raise AgentError(
                f"{path} holds an imported wallet: export its words, then move it away"
            )
        public_key = derive_public_key(seed)
        _note(place.folder, clock, EntryKind.WALLET_REPLACED, public_key)
        seal_secret(path, seed, load_unlock(place.unlock), place.limits)
    return public_key


def _wallet_seed(uri: str, place: KeyPlace) -> bytes:
    secret = load_unlock(place.unlock)
    imported: Path = place.folder / WALLET_FILE
    if imported.exists():
        return open_sealed_key(imported, secret)
    return derive_seed(open_sealed_key(sealed_path(uri, place), secret), Purpose.WALLET)


def _file_uri(uri: str) -> str:
    if not uri.startswith("file:"):
        raise AgentError("the wallet lies in a hardware token: there are no words for it")
    return uri


def _note(folder: Path, clock: Clock, kind: EntryKind, public_key: bytes) -> None:
    with AuditLog(folder / AUDIT_FOLDER, clock) as audit:
        audit.append(kind, Purpose.WALLET.value, public_key, is_durable=True)
