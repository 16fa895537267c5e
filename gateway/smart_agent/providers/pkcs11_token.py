"""The one module that speaks to a PKCS #11 token (python-pkcs11): open, find, make, sign.

Rule 1: every failure of module or token is an `AgentError` of one line.
Rule 2: a wrong PIN is offered once. Tokens lock themselves after a few, so a person must look first.
Rule 3: after any failure the session is given up; the next signature opens a new one.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import pkcs11
from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass
from pkcs11.util.ec import encode_named_curve_parameters

from gateway.errors import AgentError
from gateway.smart_agent.messages import one_line
from gateway.smart_agent.providers.pkcs11_uri import Pkcs11Uri
from ledger.params import PUBLIC_KEY_BYTES

_ED25519_OID = "1.3.101.112"
_DER_OCTET_STRING = b"\x04\x20"  # what stands before a 32-byte CKA_EC_POINT

_T = TypeVar("_T")


class Token:
    """One token, logged in as its user while there is a session."""

    def __init__(self, uri: Pkcs11Uri, pin: str) -> None:
        self._uri = uri
        self._pin = pin
        self._session: Any = None
        self._is_pin_refused = False
        self._private_keys: dict[tuple[str, bytes | None], Any] = {}

    def __repr__(self) -> str:
        return f"Token({self._name})"

    @property
    def _name(self) -> str:
        return f"token {self._uri.token or self._uri.serial or self._uri.slot_id}"

    def public_key(self, label: str, key_id: bytes | None) -> bytes:
        """Return the 32-byte Ed25519 public key of one object; raise `AgentError` if it is not there."""
        return self._attempt(lambda: self._read_public_key(label, key_id))

    def has_key(self, label: str, key_id: bytes | None) -> bool:
        """Tell whether the token holds a private key of this name."""
        return self._attempt(lambda: bool(self._find(ObjectClass.PRIVATE_KEY, label, key_id)))

    def is_guarded(self, label: str, key_id: bytes | None) -> bool:
        """Tell whether the token lets nobody read this private key."""

        def ask() -> bool:
            key = self._private_key(label, key_id)
            return bool(key[Attribute.SENSITIVE]) and not key[Attribute.EXTRACTABLE]

        return self._attempt(ask)

    def make_key(self, label: str, key_id: bytes | None) -> None:
        """Generate an Ed25519 key pair in the token; its private key never leaves it."""

        def make() -> None:
            parameters = self._session.create_domain_parameters(
                KeyType.EC_EDWARDS,
                {Attribute.EC_PARAMS: encode_named_curve_parameters(_ED25519_OID)},
                local=True,
            )
            parameters.generate_keypair(
                mechanism=Mechanism.EC_EDWARDS_KEY_PAIR_GEN,
                store=True,
                label=label,
                id=key_id,
                private_template={Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False},
            )

        self._attempt(make)

    def sign(self, label: str, key_id: bytes | None, message: bytes) -> bytes:
        """Return a 64-byte Ed25519 signature. A token that was away and is back is found again."""

        def sign() -> bytes:
            return bytes(self._private_key(label, key_id).sign(message, mechanism=Mechanism.EDDSA))

        if self._session is not None:
            try:
                return self._attempt(sign)
            except AgentError:
                pass  # once more with a new session
        return self._attempt(sign)

    def close(self) -> None:
        """Log out."""
        session, self._session = self._session, None
        self._private_keys.clear()
        if session is not None:
            try:
                session.close()
            except pkcs11.PKCS11Error:
                return  # the token is gone, and the session with it

    def _attempt(self, action: Callable[[], _T]) -> _T:
        try:
            if self._session is None:
                self._session = self._open()
            return action()
        except pkcs11.PKCS11Error as error:
            self.close()
            raise AgentError(f"{self._name}: {_reason(error)}") from None
        except AgentError:
            self.close()
            raise

    def _open(self) -> Any:
        if self._is_pin_refused:
            raise AgentError(f"{self._name} refused its PIN: mend it, then restart the SmartAgent")
        library = pkcs11.lib(str(self._uri.module_path))
        library.reinitialize()  # a token that came back is seen only then
        tokens = [
            token
            for token in (slot.get_token() for slot in library.get_slots(token_present=True))
            if self._is_wanted(token)
        ]
        if len(tokens) != 1:
            found = "is not there: put it in" if not tokens else "fits several: name its serial"
            raise AgentError(f"{self._name} {found}")
        try:
            return tokens[0].open(rw=True, user_pin=self._pin)
        except (pkcs11.PinIncorrect, pkcs11.PinInvalid, pkcs11.PinLenRange, pkcs11.PinLocked):
            self._is_pin_refused = True
            raise

    def _is_wanted(self, token: pkcs11.Token) -> bool:
        uri = self._uri
        return (
            uri.token in (None, token.label)
            and uri.serial in (None, token.serial.decode(errors="replace").strip())
            and uri.manufacturer in (None, token.manufacturer_id)
            and uri.model in (None, token.model)
            and uri.slot_id in (None, token.slot.slot_id)
        )

    def _find(self, kind: ObjectClass, label: str, key_id: bytes | None) -> list[Any]:
        wanted: dict[Attribute, object] = {Attribute.CLASS: kind, Attribute.LABEL: label}
        if key_id is not None:
            wanted[Attribute.ID] = key_id
        return list(self._session.get_objects(wanted))

    def _find_one(self, kind: ObjectClass, label: str, key_id: bytes | None) -> Any:
        found = self._find(kind, label, key_id)
        if len(found) != 1:
            name = kind.name.lower().replace("_", " ")
            count = "no" if not found else f"{len(found)} times the"
            raise AgentError(f"{self._name} holds {count} {name} {label!r}")
        return found[0]

    def _private_key(self, label: str, key_id: bytes | None) -> Any:
        key = self._private_keys.get((label, key_id))
        if key is None:
            key = self._find_one(ObjectClass.PRIVATE_KEY, label, key_id)
            self._private_keys[label, key_id] = key
        return key

    def _read_public_key(self, label: str, key_id: bytes | None) -> bytes:
        point = bytes(self._find_one(ObjectClass.PUBLIC_KEY, label, key_id)[Attribute.EC_POINT])
        key = point.removeprefix(_DER_OCTET_STRING) if len(point) > PUBLIC_KEY_BYTES else point
        if len(key) != PUBLIC_KEY_BYTES:
            raise AgentError(f"{self._name}: key {label!r} is not an Ed25519 key")
        return key


def _reason(error: pkcs11.PKCS11Error) -> str:
    if isinstance(error, pkcs11.PinLocked):
        return "its PIN is locked: unlock it with the security officer's PIN"
    if isinstance(error, pkcs11.PinIncorrect | pkcs11.PinInvalid | pkcs11.PinLenRange):
        return "the PIN is wrong: mend pin-source before trying again, tokens lock themselves"
    return (
        one_line(str(error)) or f"it does not answer ({type(error).__name__}): is it still there?"
    )
