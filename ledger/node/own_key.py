"""Whether a node and its SmartAgent belong to the chain that they are to run."""

from ledger.errors import SignerError
from ledger.types.genesis import Genesis


def check_own_key(genesis: Genesis, node_id: bytes, consensus: bytes) -> None:
    """Raise `SignerError` where the genesis knows our node by another key, or our key by another node."""
    for agent in genesis.agents:
        if (agent.node == node_id) != (agent.consensus == consensus):
            raise SignerError(
                "the SmartAgent's consensus key is not the one in the genesis file: this home folder"
                " belongs to another network or another agent"
            )
