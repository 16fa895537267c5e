"""Settings that a light node cannot follow are refused before anything is opened."""

from pathlib import Path
from typing import cast

import pytest

from gateway.clock import SystemClock
from gateway.errors import SettingsError
from gateway.ledger_host.light.service import LightStart, check_settings
from gateway.settings import Home, LedgerSection, Settings
from gateway.smart_agent.client import AgentClient
from gateway.smart_agent.keys import AgentKeys
from tests.support.ledger_lab import address_of, make_genesis


def start_with(section: LedgerSection, node: str = "somebody") -> LightStart:
    keys = AgentKeys(*[address_of(node)] * 4)
    home, settings = Home(Path("/nowhere")), Settings("light", ledger=section)
    agent = cast("AgentClient", None)
    return LightStart(home, settings, make_genesis(), keys, agent, SystemClock())


def test_what_a_light_node_needs_is_accepted():
    check_settings(start_with(LedgerSection(role="light", peers=("ssp1x@h:1",), checkpoint="1:ab")))


@pytest.mark.parametrize(
    ("name", "section"),
    [
        ("listen", LedgerSection(role="light", listen="0.0.0.0:8884")),
        ("cluster_url", LedgerSection(role="light", cluster_url="mqtts://h:8883")),
        ("keep_blocks", LedgerSection(role="light", keep_blocks=300_000)),
    ],
)
def test_what_needs_a_full_node_is_refused_by_name(name: str, section: LedgerSection):
    with pytest.raises(SettingsError, match=rf"ledger\.{name} needs a full node"):
        check_settings(start_with(section))


def test_an_agent_of_the_genesis_is_refused():
    with pytest.raises(SettingsError, match="an agent of the network"):
        check_settings(start_with(LedgerSection(role="light"), "node"))
