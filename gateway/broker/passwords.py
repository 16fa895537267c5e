"""Passwords: Argon2id hashes, and an authenticator that stays cheap when everyone reconnects.

Rule 1: an unknown user costs the same time as a wrong password.
Rule 2: at most two verifications run at once, and only so many wait: hashing cannot eat the machine.
Rule 3: a password that was right before, for the very same stored hash, is recognised by a keyed
digest that exists only in this process. Such a client is never held up by others' wrong guesses.
Rule 4: wrong guesses hold up their user name only from the network they came from. The gateway's
own services are users of this machine: accepted from loopback only, and never held up there.
"""

import asyncio
import hashlib
import hmac
import logging
import secrets
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from nacl.exceptions import CryptoError
from nacl.pwhash import argon2id

from gateway.broker.addresses import LOOPBACK, network_of
from gateway.broker.seldom_log import SeldomLog
from gateway.clock import Clock
from gateway.errors import AuthenticatorBusyError
from gateway.model.principal import Principal
from gateway.ports import PasswordCheck

_log = logging.getLogger(__name__)

MEMORY_BYTES = 19 * 1024 * 1024  # with 2 passes: OWASP's first choice for Argon2id
PASSES = 2
PASSWORD_BYTES_MAX = 1_024
USERNAME_LENGTH_MAX = 128  # names are remembered and logged
_GENERATED_BYTES = 18  # 144 bits, 24 characters without padding

_VERIFICATIONS_AT_ONCE = 2
_WAITING_MAX = 256  # about 4 s of hashing on a small board; the rest is refused and tries again
_KNOWN_MAX = 4_096  # users whose last right password is recognised
_FAILING_MAX = 4_096  # users and networks whose wrong guesses are remembered
_FREE_FAILURES = 5
_BACK_OFF_MAX_S = 30
_SERVICE_PREFIX = "_"  # no device has such a name
_DUMMY_PASSWORD = b"no user has this password"


def generate_password() -> str:
    """Return a new random password of 144 bits, safe in URLs and files."""
    return secrets.token_urlsafe(_GENERATED_BYTES)


def hash_password(password: str) -> bytes:
    """Return the Argon2id hash string, salted, to be stored; takes about 25 ms and 19 MiB."""
    return argon2id.str(password.encode(), opslimit=PASSES, memlimit=MEMORY_BYTES)


def verify_password(stored_hash: bytes, password: bytes) -> bool:
    """Tell whether `password` belongs to `stored_hash`; a malformed hash belongs to none."""
    try:
        return argon2id.verify(stored_hash, password)
    except (CryptoError, ValueError):
        return False


_Guesser = tuple[str, str]  # user name and network


@dataclass(slots=True)
class _Failures:
    count: int = 0
    blocked_until_ns: int = 0


class CredentialAuthenticator:
    """Checks user name and password; implements `gateway.ports.Authenticator`."""

    def __init__(
        self,
        lookup: PasswordCheck,
        principals: Callable[[str], Principal | None],
        clock: Clock,
    ) -> None:
        self._lookup = lookup
        self._principals = principals
        self._clock = clock
        self._digest_key = secrets.token_bytes(32)
        self._dummy_hash = argon2id.str(_DUMMY_PASSWORD, opslimit=PASSES, memlimit=MEMORY_BYTES)
        self._known: OrderedDict[str, bytes] = OrderedDict()
        self._seldom = SeldomLog(_log, clock)
        self._failing: OrderedDict[_Guesser, _Failures] = OrderedDict()
        self._waiting = 0
        self._threads = ThreadPoolExecutor(_VERIFICATIONS_AT_ONCE, thread_name_prefix="password")

    def close(self) -> None:
        """Let the threads go; verifications that have not begun are cancelled."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def authenticate(
        self,
        client_id: str,  # noqa: ARG002 - the broker keeps client ids of one principal together
        username: str,
        password: bytes,
        address: str,
    ) -> Principal | None:
        """Return the principal of this user, or None; a client without a name is refused.

        Raises `AuthenticatorBusyError`, and what the stored credentials raise.
        """
        if not 0 < len(username) <= USERNAME_LENGTH_MAX or len(password) > PASSWORD_BYTES_MAX:
            return None
        guesser = (username, network_of(address))
        is_service = username.startswith(_SERVICE_PREFIX)
        if is_service and guesser[1] != LOOPBACK:
            return None
        stored_hash = self._lookup.password_hash(username)
        if stored_hash is not None and self._is_known(username, password, stored_hash):
            return self._principals(username)
        if not is_service and self._is_blocked(guesser):
            return None
        if self._waiting >= _WAITING_MAX:
            raise AuthenticatorBusyError("too many passwords wait for their verification")
        is_right = await self._verify(stored_hash or self._dummy_hash, password)
        if stored_hash is None or not is_right:
            self._note_failure(guesser)
            return None
        self._failing.pop(guesser, None)
        self._remember(username, password, stored_hash)
        return self._principals(username)

    async def _verify(self, stored_hash: bytes, password: bytes) -> bool:
        loop = asyncio.get_running_loop()
        self._waiting += 1
        try:
            return await loop.run_in_executor(self._threads, verify_password, stored_hash, password)
        finally:
            self._waiting -= 1

    def _digest(self, username: str, password: bytes, stored_hash: bytes) -> bytes:
        digest = hashlib.blake2b(key=self._digest_key)
        for part in (username.encode(), password, stored_hash):
            digest.update(len(part).to_bytes(4, "big") + part)
        return digest.digest()

    def _is_known(self, username: str, password: bytes, stored_hash: bytes) -> bool:
        known = self._known.get(username)
        return known is not None and hmac.compare_digest(
            known, self._digest(username, password, stored_hash)
        )

    def _remember(self, username: str, password: bytes, stored_hash: bytes) -> None:
        self._known[username] = self._digest(username, password, stored_hash)
        self._known.move_to_end(username)
        if len(self._known) > _KNOWN_MAX:
            self._known.popitem(last=False)

    def _is_blocked(self, guesser: _Guesser) -> bool:
        failures = self._failing.get(guesser)
        return failures is not None and self._clock.monotonic_ns() < failures.blocked_until_ns

    def _note_failure(self, guesser: _Guesser) -> None:
        failures = self._failing.setdefault(guesser, _Failures())
        self._failing.move_to_end(guesser)
        failures.count += 1
        if failures.count >= _FREE_FAILURES:
            back_off_s = min(2 ** min(failures.count - _FREE_FAILURES, 10), _BACK_OFF_MAX_S)
            failures.blocked_until_ns = self._clock.monotonic_ns() + back_off_s * 1_000_000_000
            username, network = guesser
            self._seldom.warn(
                "wrong passwords",
                f"user {username} from {network}: {failures.count} times in a row",
            )
        if len(self._failing) > _FAILING_MAX:
            self._failing.popitem(last=False)
