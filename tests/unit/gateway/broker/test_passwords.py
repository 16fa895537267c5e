"""Passwords: hashes, recognition of returning clients, back-off and bounded hashing."""

import asyncio
import time

import pytest

from gateway.broker import passwords
from gateway.broker.passwords import (
    CredentialAuthenticator,
    generate_password,
    hash_password,
    verify_password,
)
from gateway.errors import AuthenticatorBusyError
from gateway.model.principal import Principal, PrincipalKind
from ledger.types.reading import ClockStatus

PRINCIPAL = Principal("meter", PrincipalKind.DEVICE, (), ())
LEDGER = Principal("_ledger", PrincipalKind.SERVICE, (), ())
RIGHT = "correct horse"


class ManualClock:
    def __init__(self) -> None:
        self.now_ns = 0

    def now_ms(self) -> int:
        return self.now_ns // 1_000_000

    def monotonic_ns(self) -> int:
        return self.now_ns

    def status(self) -> ClockStatus:
        return ClockStatus.SYNCHRONISED

    def is_synchronised(self) -> bool:
        return True


class Credentials:
    def __init__(self) -> None:
        self.hashes = dict.fromkeys(("meter", "_ledger"), hash_password(RIGHT))

    def password_hash(self, username: str) -> bytes | None:
        return self.hashes.get(username)


class Desk:
    """An authenticator with its credentials, its clock, and a count of the hashing it did."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = ManualClock()
        self.credentials = Credentials()
        self.verified: list[bytes] = []
        self.authenticator = CredentialAuthenticator(
            self.credentials, {"meter": PRINCIPAL, "_ledger": LEDGER}.get, self.clock
        )

        def counted(stored_hash: bytes, password: bytes) -> bool:
            self.verified.append(stored_hash)
            return verify_password(stored_hash, password)

        monkeypatch.setattr(passwords, "verify_password", counted)

    async def try_(
        self, username: str, password: str, address: str = "10.0.0.1"
    ) -> Principal | None:
        return await self.authenticator.authenticate("c", username, password.encode(), address)


@pytest.fixture
def desk(monkeypatch):
    desk = Desk(monkeypatch)
    yield desk
    desk.authenticator.close()


def test_a_hash_verifies_its_password_only():
    stored = hash_password(RIGHT)

    assert stored.startswith(b"$argon2id$v=19$m=19456,t=2,p=1$")
    assert verify_password(stored, RIGHT.encode())
    assert not verify_password(stored, b"wrong")
    assert not verify_password(b"not a hash", b"x")
    assert not verify_password(b"", b"x")


def test_generated_passwords_are_long_and_differ():
    made = {generate_password() for _ in range(100)}

    assert len(made) == 100
    assert all(len(password) == 24 for password in made)


async def test_right_wrong_and_unknown(desk):
    assert await desk.try_("meter", RIGHT) is PRINCIPAL
    assert await desk.try_("meter", "wrong") is None
    assert await desk.try_("nobody", RIGHT) is None
    assert await desk.try_("", "") is None


async def test_an_unknown_user_is_verified_against_a_hash_of_the_same_cost(desk):
    await desk.try_("nobody", "x")

    assert len(desk.verified) == 1
    assert desk.verified[0].startswith(b"$argon2id$v=19$m=19456,t=2,p=1$")


async def test_a_returning_client_is_recognised_without_hashing(desk):
    await desk.try_("meter", RIGHT)
    assert len(desk.verified) == 1

    assert await desk.try_("meter", RIGHT) is PRINCIPAL
    assert len(desk.verified) == 1
    assert await desk.try_("meter", "wrong") is None
    assert len(desk.verified) == 2


async def test_a_changed_or_removed_credential_is_not_recognised_any_more(desk):
    await desk.try_("meter", RIGHT)

    desk.credentials.hashes["meter"] = hash_password("new")
    assert await desk.try_("meter", RIGHT) is None
    assert await desk.try_("meter", "new") is PRINCIPAL
    del desk.credentials.hashes["meter"]
    assert await desk.try_("meter", "new") is None


async def test_wrong_guesses_wait_longer_each_time(desk):
    for _ in range(5):
        await desk.try_("meter", "wrong")
    assert len(desk.verified) == 5

    assert await desk.try_("meter", RIGHT) is None  # not even looked at
    assert len(desk.verified) == 5
    desk.clock.now_ns += 1_000_000_001
    assert await desk.try_("meter", RIGHT) is PRINCIPAL


async def test_a_known_client_is_not_locked_out_by_others_guesses(desk):
    await desk.try_("meter", RIGHT)
    for _ in range(10):
        await desk.try_("meter", "wrong")

    assert await desk.try_("meter", RIGHT) is PRINCIPAL


async def test_the_back_off_has_an_end(desk):
    for _ in range(40):
        await desk.try_("meter", "wrong")
        desk.clock.now_ns += 30_000_000_001

    assert await desk.try_("meter", RIGHT) is PRINCIPAL


async def test_what_waits_for_hashing_is_bounded(desk, monkeypatch):
    monkeypatch.setattr(passwords, "_WAITING_MAX", 3)

    answers = await asyncio.gather(
        *(desk.try_(f"user{n}", "x") for n in range(10)), return_exceptions=True
    )

    assert len(desk.verified) == 3
    assert answers[:3] == [None] * 3
    assert all(isinstance(answer, AuthenticatorBusyError) for answer in answers[3:])


async def test_hashing_does_not_block_the_event_loop(desk):
    longest_s = 0.0
    job = asyncio.gather(*(desk.try_(f"user{n}", "x") for n in range(6)))
    while not job.done():
        before = time.perf_counter()
        await asyncio.sleep(0)
        longest_s = max(longest_s, time.perf_counter() - before)

    assert longest_s < 1.0
    assert len(desk.verified) == 6


async def test_absurd_names_and_passwords_are_refused_unhashed(desk):
    assert await desk.try_("x" * 200, "x") is None
    assert await desk.try_("meter", "x" * 2_000) is None
    assert desk.verified == []


async def test_a_stranger_cannot_lock_a_user_out_of_another_network(desk, caplog):
    for number in range(12):
        await desk.try_("meter", "wrong", f"2001:db8::{number}")
    assert len(desk.verified) == 5  # one network, so one back-off

    assert await desk.try_("meter", RIGHT, "10.0.0.2") is PRINCIPAL
    assert len(caplog.messages) == 1


async def test_services_are_accepted_from_this_machine_only_and_never_held_up(desk):
    assert await desk.try_("_ledger", RIGHT, "10.0.0.1") is None
    assert desk.verified == []

    for _ in range(8):
        assert await desk.try_("_ledger", "wrong", "127.0.0.1") is None
    assert await desk.try_("_ledger", RIGHT, "::1") is LEDGER
