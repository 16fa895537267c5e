"""The `pkcs11:` provider: a key pair for each purpose in a hardware token, which never gives them out.

The order commitments need a secret that can be hashed, which no token does: it lies beside, in the sealed file
`onion.key`. Recovery words do not exist for a wallet in a token: whoever has the token has the wallet.
"""

import logging
import secrets
from collections.abc import Mapping
from pathlib import Path

from gateway.errors import AgentError
from gateway.smart_agent.keys import KeyPlace, Purpose
from gateway.smart_agent.private_files import read_private
from gateway.smart_agent.providers.pkcs11_uri import Pkcs11Uri, parse_pkcs11_uri
from gateway.smart_agent.sealed_key import ROOT_SECRET_BYTES, open_sealed_key, seal_secret
from gateway.smart_agent.unlock import find_pin, load_unlock
from ledger.crypto.ed25519 import is_public_key, verify_strict

try:
    from gateway.smart_agent.providers.pkcs11_token import Token
except ImportError as error:  # the driver is an extra: most gateways have no token
    raise AgentError(
        f"keys in a token need smartshare-gateway[hsm]: install it ({error})"
    ) from None

ONION_FILE = "onion.key"

_PIN_BYTES_MAX = 256
_NUMBERS: Mapping[Purpose, int] = {
    Purpose.NODE: 1,
    Purpose.CONSENSUS: 2,
    Purpose.METERING: 3,
    Purpose.WALLET: 4,
}

_log = logging.getLogger(__name__)


class Pkcs11Keys:
    """Public keys in memory, private ones in the token."""

    def __init__(self, uri: Pkcs11Uri, token: Token, onion_secret: bytes) -> None:
        self._uri = uri
        self._token = token
        self._onion_secret = onion_secret
        self._public_keys = {
            purpose: token.public_key(*name_of(uri, purpose)) for purpose in Purpose
        }
        for purpose, key in self._public_keys.items():
            if not is_public_key(key):
                raise AgentError(
                    f"the {purpose.value} key in {token!r} is not a strict Ed25519 key"
                )
            if not token.is_guarded(*name_of(uri, purpose)):
                _log.warning("the %s key in %r can be read out of it", purpose.value, token)

    def __repr__(self) -> str:
        return f"Pkcs11Keys({self._token!r})"

    def public_key(self, purpose: Purpose) -> bytes:
        """Return a public key, 32 bytes."""
        return self._public_keys[purpose]

    def sign(self, purpose: Purpose, message: bytes) -> bytes:
        """Return a 64-byte Ed25519 signature, checked: another token of the same name gives none."""
        signature = self._token.sign(*name_of(self._uri, purpose), message)
        if not verify_strict(self._public_keys[purpose], message, signature):
            raise AgentError(
                f"{self._token!r} gave a signature that is not the {purpose.value} key's"
            )
        return signature

    def onion_secret(self) -> bytes:
        """Return the 32-byte secret of the order commitments."""
        return self._onion_secret

    def close(self) -> None:
        """Log out of the token."""
        self._token.close()


def name_of(uri: Pkcs11Uri, purpose: Purpose) -> tuple[str, bytes | None]:
    """Return label and CKA_ID of a purpose's key pair."""
    key_id = None if uri.id is None else uri.id + bytes([_NUMBERS[purpose]])
    return f"{uri.object}-{purpose.value}", key_id


def make_keys(uri: str, place: KeyPlace) -> Pkcs11Keys:
    """Generate the key pairs in the token, and seal a secret for the order commitments."""
    parsed = parse_pkcs11_uri(uri)
    token = Token(parsed, _load_pin(parsed, place))
    try:
        for purpose in Purpose:
            label, key_id = name_of(parsed, purpose)
            if token.has_key(label, key_id):
                raise AgentError(f"{token!r} holds a key {label!r} already: name another object")
        for purpose in Purpose:
            token.make_key(*name_of(parsed, purpose))
    finally:
        token.close()
    onion_secret = secrets.token_bytes(ROOT_SECRET_BYTES)
    seal_secret(place.folder / ONION_FILE, onion_secret, load_unlock(place.unlock), place.limits)
    return open_keys(uri, place)


def open_keys(uri: str, place: KeyPlace) -> Pkcs11Keys:
    """Log in and look up the key pairs; raise `AgentError` when one of them is missing."""
    parsed = parse_pkcs11_uri(uri)
    onion_secret = open_sealed_key(place.folder / ONION_FILE, load_unlock(place.unlock))
    token = Token(parsed, _load_pin(parsed, place))
    try:
        return Pkcs11Keys(parsed, token, onion_secret)
    except AgentError:
        token.close()
        raise


def list_sealed_files(_uri: str, place: KeyPlace) -> tuple[Path, ...]:
    """Return what the unlock secret opens: the order commitments' secret. The keys have the token's PIN."""
    return (place.folder / ONION_FILE,)


def _load_pin(uri: Pkcs11Uri, place: KeyPlace) -> str:
    if uri.pin_source is None:
        raw = load_unlock(find_pin(place.folder))
    else:
        raw = read_private(uri.pin_source, _PIN_BYTES_MAX).strip()
    try:
        pin = raw.decode()
    except UnicodeDecodeError:
        pin = ""
    if not pin:
        raise AgentError("the token's PIN is empty or not text: write it to its pin-source")
    return pin
