"""Whether the guard's record is older than what the audit log says was signed. Pure.

The record is written before a vote's entry, so it is never behind the log: unless an old copy of the guard's
file was put back, or its newest slot was damaged later and the older one is in use.
"""

from collections.abc import Sequence

from gateway.errors import AgentError
from gateway.smart_agent.audit.entry import Entry
from gateway.smart_agent.judge import SignRecord, votes_of
from ledger.crypto.domains import vote_message
from ledger.crypto.hashing import sha256


def check_record(record: SignRecord, newest_votes: Sequence[Entry], chain_id: bytes | None) -> None:
    """Raise `AgentError` when a logged vote is not in the record and the record is not past it.

    `newest_votes` are the log's votes in one slot, its newest.
    """
    known = set()
    if chain_id is not None:
        for vote in votes_of(record):
            message = vote_message(chain_id, vote.kind, vote.epoch, vote.slot, vote.block_hash)
            known.add(sha256(message))
    for entry in newest_votes:
        assert entry.vote is not None
        place = (entry.vote.epoch, entry.vote.slot)
        is_past = (record.epoch, record.slot) > place
        if not is_past and entry.digest not in known:
            raise AgentError(
                f"the sign guard is an old copy: it is at epoch {record.epoch} slot {record.slot}, and the"
                f" audit log holds a {entry.vote.kind.name} vote in epoch {place[0]} slot {place[1]} that"
                " it lacks; nothing is signed: put the newest copy back, or"
                " `smartshare agent guard quarantine --epoch CURRENT --home DIR`"
            )
