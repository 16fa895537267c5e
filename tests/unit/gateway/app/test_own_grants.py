"""Grants are checked before a node keeps them."""

import msgspec
import pytest

from gateway.app.own_grants import install_grants
from gateway.errors import SettingsError
from gateway.ledger_host.genesis import GenesisFacts
from gateway.ledger_host.grant_files import load_own_grants
from gateway.settings import Home
from ledger.types.genesis_file import genesis_chain_id
from ledger.types.reading import ClockStatus
from tests.support.identity import (
    DAY_MS,
    FOUNDATION,
    MAKER,
    MAKER_GRANT,
    NOW_MS,
    OTHER,
    UNIT,
    sign_grant,
    unit_grant,
)
from tests.support.ledger_lab import make_genesis

GENESIS = msgspec.structs.replace(make_genesis(), foundation=FOUNDATION.address)
ON_CHAIN = {"chain_id": genesis_chain_id(GENESIS)}
GRANTS = (
    sign_grant(msgspec.structs.replace(MAKER_GRANT, **ON_CHAIN), FOUNDATION),
    sign_grant(unit_grant(UNIT, **ON_CHAIN), MAKER),
)


class StoppedClock:
    def __init__(self, time_ms: int = NOW_MS, *, is_synchronised: bool = True) -> None:
        self._time_ms = time_ms
        self._is_synchronised = is_synchronised

    def now_ms(self) -> int:
        return self._time_ms

    def monotonic_ns(self) -> int:
        return 0

    def status(self) -> ClockStatus:
        return ClockStatus.SYNCHRONISED

    def is_synchronised(self) -> bool:
        return self._is_synchronised


def test_grants_that_hold_are_kept_and_shown(tmp_path):
    home = Home(tmp_path)
    assert load_own_grants(home) == ()
    unit = install_grants(home, GENESIS, UNIT.address, GRANTS, StoppedClock())
    assert unit.model == "gw-1"
    assert load_own_grants(home) == GRANTS


def test_a_node_without_time_may_install_them(tmp_path):
    clock = StoppedClock(0, is_synchronised=False)
    unit = install_grants(Home(tmp_path), GENESIS, UNIT.address, GRANTS, clock)
    assert not unit.is_time_judged


@pytest.mark.parametrize(
    ("node", "time_ms", "code"),
    [(OTHER, NOW_MS, "not-permitted"), (UNIT, NOW_MS + 2000 * DAY_MS, "expired")],
)
def test_grants_that_do_not_hold_are_not_kept(tmp_path, node, time_ms, code):
    home = Home(tmp_path)
    with pytest.raises(SettingsError, match=code):
        install_grants(home, GENESIS, node.address, GRANTS, StoppedClock(time_ms))
    assert load_own_grants(home) == ()


def test_an_open_network_needs_none(tmp_path):
    with pytest.raises(SettingsError, match="names no foundation"):
        install_grants(Home(tmp_path), make_genesis(), UNIT.address, GRANTS, StoppedClock())


def test_half_of_the_grants_is_a_fault(tmp_path):
    home = Home(tmp_path)
    install_grants(home, GENESIS, UNIT.address, GRANTS, StoppedClock())
    (home.grants / "unit.grant").unlink()
    with pytest.raises(SettingsError, match=r"unit\.grant: cannot be read"):
        load_own_grants(home)


def test_who_has_the_genesis_alone_knows_of_no_revocation():
    facts = GenesisFacts(GENESIS)
    assert facts.foundation == FOUNDATION.address
    assert not facts.is_revoked(b"")
    assert not facts.is_retired(b"")
    assert not facts.is_listed(b"")
    assert facts.lease(b"") is None
