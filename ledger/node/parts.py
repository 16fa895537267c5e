"""What the effects of the consensus machine move: the parts of a node that its hands share."""

from collections.abc import Callable
from dataclasses import dataclass

from ledger.mempool.mempool import Mempool
from ledger.node.chain import Chain
from ledger.node.failures import FailedTransactions
from ledger.node.views import FinalBlock
from ledger.ports import PeerLink, VoteSigner
from ledger.state.overlay import StateReader
from ledger.types.block import Vote

OnFinalBlock = Callable[[FinalBlock], None]
OnEvidence = Callable[[Vote, Vote], None]
OnOwnVote = Callable[[Vote], None]


@dataclass(frozen=True, slots=True)
class Parts:
    """`view` reads the newest final state, on the event loop's thread.

    `on_own_vote` hears of a genuine vote of our seat that was not given since this process started.
    """

    chain: Chain
    mempool: Mempool
    failed: FailedTransactions
    view: StateReader
    signer: VoteSigner
    peers: PeerLink
    on_evidence: OnEvidence
    on_own_vote: OnOwnVote
