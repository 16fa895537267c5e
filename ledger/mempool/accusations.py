"""Accusations: transactions that report an agent which contradicted itself. They wait and enter blocks apart.

Rule 1: one waits only if it would convict the agent now, so false evidence never comes into a block.
Rule 2: an agent is accused once: a second accusation waits only in place of one that no longer can run.
Rule 3: accusations take no room from ordinary transactions and yield none to them, whatever those offer.
Rule 4: a block takes them first, those that wait longest before the others, each behind what its sender has
waiting before it, in a bounded share of the block's bytes and without contracts.

These are rules of the mempool, not of the chain: a block that keeps none of them is valid.
"""

from ledger.errors import Reason, Rejected
from ledger.mempool.limits import ACCUSATIONS_BLOCK_BYTES_MAX, ACCUSATIONS_MAX
from ledger.mempool.selection import Selection
from ledger.mempool.waiting import Entry, Waiting
from ledger.params import BLOCK_TRANSACTIONS_MAX
from ledger.state.agents import get_known_agent
from ledger.state.fees import runs_contract
from ledger.state.overlay import StateReader
from ledger.state.processing.report_evidence import check_report
from ledger.types.stake import PenaltyCause
from ledger.types.transaction import ReportEvidence

# What no node can have taken, however far its chain is: whoever passes it on is at fault.
_NEVER_TRUE = (Reason.MALFORMED, Reason.BAD_SIGNATURE)


def check_accusation(
    waiting: Waiting, entry: Entry, view: StateReader, time_ms: int
) -> Rejected | None:
    """Tell why an accusation may not wait; `time_ms` is the newest block's. None for any other entry.

    The cheap questions come first: a flood of the same evidence costs no signature check.
    """
    if entry.accused is None:
        return None
    name = entry.accused.hex()[:16]
    other = waiting.accusations.get(entry.accused)
    if other is not None and find_run(waiting, view, other) is not None:
        return Rejected(Reason.DUPLICATE, f"an accusation of agent {name} waits already")
    if other is None and len(waiting.accusations) >= ACCUSATIONS_MAX:
        return Rejected(Reason.FULL, f"{ACCUSATIONS_MAX} accusations wait: send it again later")
    if find_run(waiting, view, entry) is None:
        detail = "one block cannot hold this accusation and all that its sender must run before it"
        return Rejected(Reason.BAD_NONCE, f"{detail}: send it again when that is final")
    proven = _check_report(entry, view, time_ms)
    if not isinstance(proven, Rejected):
        return None
    if proven.reason in _NEVER_TRUE:
        return Rejected(Reason.FALSE_EVIDENCE, f"against agent {name}: {proven.detail}")
    return proven


def find_run(waiting: Waiting, view: StateReader, accusation: Entry) -> tuple[Entry, ...] | None:
    """Return what a block on top of `view` takes for an accusation, itself the last; None: it cannot."""
    selection = Selection(view, ACCUSATIONS_BLOCK_BYTES_MAX, BLOCK_TRANSACTIONS_MAX)
    queue = waiting.queue(accusation.sender)
    for nonce in range(selection.get_next_nonce(accusation.sender), accusation.nonce):
        before = queue.get(nonce)
        if before is None or runs_contract(before.checked.transaction):
            return None
        if not selection.try_add(before):
            return None
    return tuple(selection.entries) if selection.try_add(accusation) else None


def select_accusations(waiting: Waiting, view: StateReader, selection: Selection) -> None:
    """Begin a block on top of `view` with the accusations that still convict there."""
    bytes_left = ACCUSATIONS_BLOCK_BYTES_MAX
    for agent, accusation in waiting.accusations.items():
        run = find_run(waiting, view, accusation)
        if run is None or get_known_agent(view, agent).is_tombstoned:
            continue  # convicted by a block that is not final yet
        next_nonce = selection.get_next_nonce(accusation.sender)
        missing = [entry for entry in run if entry.nonce >= next_nonce]
        size = sum(entry.checked.size for entry in missing)
        if size <= bytes_left:
            bytes_left -= size
            selection.add_in_order(missing)


def list_void(waiting: Waiting, view: StateReader, time_ms: int) -> list[Entry]:
    """Return the accusations that convict nobody any more: too old, or somebody else's came first."""
    return [
        entry
        for entry in waiting.accusations.values()
        if isinstance(_check_report(entry, view, time_ms), Rejected)
    ]


def _check_report(entry: Entry, view: StateReader, time_ms: int) -> PenaltyCause | Rejected:
    transaction = entry.checked.transaction
    assert isinstance(transaction.body, ReportEvidence), "an accusation reports evidence"
    return check_report(view, transaction.chain_id, time_ms, transaction.body)
