"""kill -9 while votes are signed: what left before it can never be contradicted after it."""

import random
import threading

import pytest

from gateway.errors import AgentError
from gateway.smart_agent.audit.verify import verify_log
from gateway.smart_agent.client import AgentClient
from ledger.crypto.domains import NO_HASH, VoteKind, vote_message
from ledger.crypto.hashing import sha256

pytestmark = [pytest.mark.integration, pytest.mark.slow]

CHAIN = b"i" * 32
A, B = b"a" * 32, b"b" * 32
ROUNDS = 6


class Voter(threading.Thread):
    """Asks for NOTARIZE and FINALIZE of A in slot after slot, until the agent is gone."""

    def __init__(self, socket_path, first_slot, enough):
        super().__init__()
        self._client = AgentClient(socket_path)
        self._enough = enough
        self.signed = []
        self.slot = first_slot
        self.reached = threading.Event()

    def run(self):
        try:
            while True:
                for kind in (VoteKind.NOTARIZE, VoteKind.FINALIZE):
                    self._client.sign_vote(kind, 0, self.slot, A)
                    self.signed.append((kind, self.slot))
                if len(self.signed) >= self._enough:
                    self.reached.set()
                self.slot += 1
        except AgentError:
            self.reached.set()
        finally:
            self._client.close()


def is_signed(client, kind, slot, block_hash):
    try:
        client.sign_vote(kind, 0, slot, block_hash)
    except AgentError as error:
        if "sign-guard" not in str(error):
            raise
        return False
    return True


def logged_digests(home):
    """What the audit log holds, which must be whole."""
    digests = set()
    report = verify_log(home / "agent" / "audit", lambda entry, _head: digests.add(entry.digest))
    assert report.problem == ""
    return digests


def digest_of(kind, slot):
    return sha256(vote_message(CHAIN, kind, 0, slot, A))


def test_no_conflicting_signature_after_kill_9(home, start):
    chance = random.Random(9)
    slot = 1
    for _ in range(ROUNDS):
        with start(home) as agent:
            agent.client.bind(CHAIN, slot_ms=100)  # the fastest chain: 180 votes a second
            agent.client.report_tip(is_at_tip=True, agents=1)
            voter = Voter(agent.socket_path, slot, enough=chance.randrange(10, 200))
            voter.start()
            assert voter.reached.wait(20)
            agent.kill()
            voter.join(20)
        assert len(voter.signed) >= 10
        assert logged_digests(home) >= {digest_of(*vote) for vote in voter.signed}

        with start(home) as agent:
            agent.client.report_tip(is_at_tip=True, agents=1)
            for kind, signed_slot in voter.signed[-10:]:
                assert not is_signed(agent.client, kind, signed_slot, B)
                if kind is VoteKind.FINALIZE:
                    assert not is_signed(agent.client, VoteKind.NULLIFY, signed_slot, NO_HASH)
        slot = voter.slot + 1
