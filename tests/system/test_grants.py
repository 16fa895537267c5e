"""A network that asks for grants, of two real gateways: one's grant is revoked, and an appeal restores it."""

from typing import Any

import pytest

from gateway.app.issuer import GrantTerms, IssuerKey, create_issuer_key, issue_grant
from gateway.ledger_host.grant_files import format_grant
from gateway.model.ledger_api import StatusReply
from gateway.smart_agent.private_files import write_private
from gateway.smart_agent.sealed_key import LEAST
from ledger.codec.text import format_address
from ledger.identity.grant import GrantLevel, Role
from ledger.params import DAY_MS
from ledger.types.genesis_file import genesis_chain_id
from tests.support.loopback_gateways import LoopbackGateway, LoopbackGateways, until

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.timeout(900)]

PHRASE = b"a passphrase of some length"
ISSUERS = ("foundation", "maker")


class Authority:
    """The foundation and a manufacturer, with their keys and grants in a folder."""

    def __init__(self, folder):
        self.folder = folder
        write_private(folder / "phrase", PHRASE)
        self.keys: dict[str, IssuerKey] = {
            name: create_issuer_key(folder / f"{name}.key", PHRASE, LEAST) for name in ISSUERS
        }

    def address(self, name: str) -> str:
        return format_address(self.keys[name].address)

    def options(self, name: str) -> tuple[str, ...]:
        key, phrase = self.folder / f"{name}.key", self.folder / "phrase"
        return ("--key", str(key), "--passphrase-file", str(phrase))

    def grant(
        self, network: LoopbackGateways, issuer: str, level: GrantLevel, subject: bytes
    ) -> str:
        """Return the file of a new grant for a month."""
        chain_id, roles = genesis_chain_id(network.genesis), (Role.AGENT, Role.FULL)
        start_ms = network.genesis.time_ms - DAY_MS
        times = (start_ms, start_ms + 30 * DAY_MS)
        raw = issue_grant(
            self.keys[issuer], GrantTerms(chain_id, level, subject, *times, roles, ("gw-1",))
        )
        path = self.folder / f"{subject.hex()[:16]}.grant"
        path.write_text(format_grant(raw))
        return str(path)


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


@pytest.fixture
def network(tmp_path, authority):
    foundation = authority.address("foundation")
    with LoopbackGateways(tmp_path, ("a",), foundation=foundation) as network:
        network.join("b")
        yield network


def height_of(gateway: LoopbackGateway) -> int:
    return gateway.query("status", StatusReply).height


def link_of(gateway: LoopbackGateway) -> dict[str, Any]:
    """What a gateway says of its only peer; nothing where it knows of none."""
    peers = gateway.ask("chain", "peers")["peers"]
    return peers[0] if peers else {"direction": "none", "problem": ""}


def is_up(gateway: LoopbackGateway) -> bool:
    return gateway.run("chain", "status").returncode == 0


def is_connected(gateway: LoopbackGateway) -> bool:
    return bool(link_of(gateway)["direction"] != "none")


def test_a_revoked_grant_is_refused_by_the_other_gateway_until_an_appeal_reinstates_it(
    network, authority, tmp_path
):
    founder, other = network.gateways["a"], network.gateways["b"]
    maker = authority.grant(
        network, "foundation", GrantLevel.MANUFACTURER, authority.keys["maker"].address
    )
    units = {
        one: authority.grant(network, "maker", GrantLevel.UNIT, one.address.node)
        for one in (founder, other)
    }
    for one, unit in units.items():
        one.start("agent")
        one.say("grant", "install", maker, unit)
        one.start("gateway", "ledger")
    until(lambda: all(is_up(one) and is_connected(one) for one in (founder, other)))
    until(lambda: height_of(other) >= 3)
    for name in ISSUERS:
        founder.say("wallet", "send", authority.address(name), "1")
    founder.say("wallet", "send", other.ask("wallet", "show")["address"], "1")

    # The manufacturer revokes it on the chain. What the chain says, the founder's gateway acts upon.
    revoked, by_maker = units[other], authority.options("maker")
    founder.say("grant", "revoke", revoked, *by_maker, "--cause", "device-stolen")
    assert founder.ask("grant", "status", revoked)["state"] == "revoked"
    until(lambda: "revoked" in link_of(founder)["problem"] and not is_connected(founder))
    until(lambda: "the other side says" in link_of(other)["problem"])
    assert "revoked" in link_of(other)["problem"]
    assert "a peer was refused: revoked" in founder.log.read_text()
    other.stop()
    other.start()
    until(lambda: other.run("chain", "status").returncode == 0)
    behind = height_of(other)
    until(lambda: height_of(founder) > behind)

    # Cut off as it is, its appeal is carried to a gateway that is not.
    appeal = tmp_path / "appeal.tx"
    other.say("grant", "appeal", revoked, "it was found again", "-o", str(appeal))
    founder.say("chain", "submit", str(appeal))
    assert founder.ask("grant", "status", revoked)["state"] == "appealed"
    decision = ("--reinstate", "--note", "heard")
    founder.say("grant", "decide", revoked, *authority.options("foundation"), *decision)
    until(lambda: is_connected(other))
    until(lambda: height_of(other) > behind)
    until(lambda: other.ask("grant", "status", revoked)["state"] == "reinstated")
