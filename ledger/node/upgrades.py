"""When the holders of stake have voted for rules that this program does not know.

Rule: the chain up to the block that begins them is kept; nothing behind it is judged by old rules.
"""

from ledger.errors import UpgradeNeededError
from ledger.params import PROTOCOL_VERSION
from ledger.state.agents import get_parameters
from ledger.state.epochs import get_epoch
from ledger.state.overlay import StateReader


def check_rules_known(state: StateReader) -> None:
    """Raise `UpgradeNeededError` where the state's next block follows rules of another version."""
    version = get_parameters(state).protocol_version
    if version != PROTOCOL_VERSION:
        raise UpgradeNeededError(
            f"from block {get_epoch(state).root_height + 1} on this chain follows version {version} of"
            f" the rules, this program knows {PROTOCOL_VERSION}: install a release that knows it; the"
            " chain so far is kept"
        )
