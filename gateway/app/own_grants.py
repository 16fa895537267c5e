"""The two grants that a node shows: files in its home folder, checked before they are put there."""

from gateway.clock import Clock
from gateway.errors import SettingsError
from gateway.ledger_host.genesis import GenesisFacts
from gateway.ledger_host.grant_files import format_grant, grant_files
from gateway.settings import Home, write_atomic
from ledger.identity.facts import Moment
from ledger.identity.grant import decode_grant
from ledger.identity.grant_check import VerifiedUnit, check_grants
from ledger.identity.refusals import Refused
from ledger.types.genesis import Genesis


def install_grants(
    home: Home, genesis: Genesis, node_id: bytes, chain: tuple[bytes, bytes], clock: Clock
) -> VerifiedUnit:
    """Put grants that hold for this node into its home; raises `SettingsError` with the reason."""
    if genesis.foundation is None:
        raise SettingsError(f"{home.genesis} names no foundation: this network needs no grants")
    decoded = decode_grant(chain[1])
    if isinstance(decoded, Refused):
        raise SettingsError(f"the unit's grant is none: {decoded}")
    result = check_grants(
        chain,
        node_id=node_id,
        role=decoded[0].roles[0],
        facts=GenesisFacts(genesis),
        now=Moment(clock.now_ms(), is_trusted=clock.is_synchronised()),
        allows_untrusted_clock=True,
    )
    if isinstance(result, Refused):
        raise SettingsError(f"the grants do not hold for this node: {result}")
    home.grants.mkdir(exist_ok=True)
    for path, raw in zip(grant_files(home), chain, strict=True):
        write_atomic(path, format_grant(raw).encode() + b"\n")
    return result
