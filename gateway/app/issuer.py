"""Keys of a foundation or a manufacturer, and the grants that they issue: files, no running node.

A grant travels as one line of text, `sspgrant1:` and base64url: it fits a mail, a label, a QR code.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.errors import SettingsError
from gateway.smart_agent.sealed_key import (
    MODERATE,
    KdfLimits,
    create_sealed_key,
    open_sealed_key,
)
from ledger.codec.canonical import encode
from ledger.crypto import domains, ed25519
from ledger.crypto.hashing import hkdf
from ledger.identity.grant import (
    SERIAL_BYTES,
    Grant,
    GrantLevel,
    Role,
    build_signed_grant,
    decode_grant,
)
from ledger.identity.refusals import Refused

_LABEL = "smartshare/issuer/1"


class IssuerKey:
    """An issuer's key in memory; nothing prints it."""

    __slots__ = ("_seed", "address")

    def __init__(self, root_secret: bytes) -> None:
        self._seed = hkdf(root_secret, _LABEL)
        self.address = ed25519.derive_public_key(self._seed)

    def __repr__(self) -> str:
        return "IssuerKey(sealed)"

    def sign_grant(self, payload: bytes) -> bytes:
        """Return the signature over a grant's canonical payload."""
        return ed25519.sign(self._seed, domains.grant_message(payload))

    def sign_transaction(self, payload: bytes) -> bytes:
        """Return the signature over a transaction's canonical payload."""
        return ed25519.sign(self._seed, domains.transaction_message(payload))


def create_issuer_key(path: Path, passphrase: bytes, limits: KdfLimits = MODERATE) -> IssuerKey:
    """Seal a new key into a file; never over another one."""
    if path.exists():
        raise SettingsError(f"{path} exists: name another file for the new key")
    return IssuerKey(create_sealed_key(path, passphrase, limits))


def open_issuer_key(path: Path, passphrase: bytes) -> IssuerKey:
    """Unseal a key; raises `AgentError` with one line."""
    return IssuerKey(open_sealed_key(path, passphrase))


@dataclass(frozen=True, slots=True)
class GrantTerms:
    """What an issuer decides about a grant; times are Unix milliseconds."""

    chain_id: bytes
    level: GrantLevel
    subject: bytes
    not_before_ms: int
    not_after_ms: int
    roles: Sequence[Role]
    models: Sequence[str]


def issue_grant(key: IssuerKey, terms: GrantTerms) -> bytes:
    """Return a signed grant; raises `SettingsError` where its terms mean nothing."""
    grant = Grant(
        chain_id=terms.chain_id,
        level=terms.level,
        issuer=key.address,
        subject=terms.subject,
        serial=secrets.token_bytes(SERIAL_BYTES),
        not_before_ms=terms.not_before_ms,
        not_after_ms=terms.not_after_ms,
        roles=tuple(sorted(set(terms.roles))),
        models=tuple(sorted(set(terms.models))),
    )
    payload = encode(grant)
    raw = build_signed_grant(payload, key.sign_grant(payload))
    decoded = decode_grant(raw)
    if isinstance(decoded, Refused):
        raise SettingsError(f"no such grant: {decoded.detail}")
    return raw
