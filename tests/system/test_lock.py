"""The locks install, hashes checked, under every supported Python found on this machine."""

import pytest

from tests.system.machine import REPO, run

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.timeout(1500)]


def test_every_lock_installs():
    said = run(REPO / "scripts/check-lock", timeout_s=1400)

    assert "every lock installs" in said
