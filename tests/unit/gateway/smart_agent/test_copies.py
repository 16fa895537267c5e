"""Two of the same: a restored backup, a cloned card, a lost record, a clock set back. Never two signatures."""

import shutil
from contextlib import ExitStack, contextmanager

import pytest

from gateway.errors import AgentError
from gateway.smart_agent.identity_messages import LeaseStanding, ReportLease
from gateway.smart_agent.messages import (
    Bind,
    RefusedReason,
    ReportOwnVote,
    ReportTip,
    Signed,
    SignVote,
)
from gateway.smart_agent.provision import open_agent, quarantine
from gateway.smart_agent.unlock import find_unlock
from ledger.crypto.domains import NO_HASH, VoteKind
from tests.support.readings import ManualClock

AGENTS = 4
SLOT_NS = 3_000_000_000
CHAIN = b"i" * 32


def block(node, slot):
    """Each copy would vote for a block of its own: the worst case."""
    return bytes([node + 1]) + slot.to_bytes(31, "big")


class Net:
    """Every released vote, and what a node hears of it: votes with its own key from elsewhere."""

    def __init__(self):
        self.released = []

    def conflicts(self):
        found = []
        for number, (_, one, _) in enumerate(self.released):
            for _, other, _ in self.released[:number]:
                same_place = (one.epoch, one.slot) == (other.epoch, other.slot)
                same_kind = one.kind is other.kind and one.block_hash != other.block_hash
                crossed = {one.kind, other.kind} == {VoteKind.NULLIFY, VoteKind.FINALIZE}
                if same_place and (same_kind or crossed):
                    found.append((one, other))
        return found


class Node:
    """An agent and its ledger: it votes slot by slot and hands in what it hears."""

    def __init__(self, number, agent, net, clock):
        self.number, self.agent, self.net, self.clock = number, agent, net, clock
        self.heard = len(net.released)  # a node hears what is said from its start on
        agent.handle(Bind(CHAIN))

    def tick(self, slot, epoch=0):
        """One slot: the tip is reported, then the node would vote for its own block."""
        self.agent.handle(ReportTip(is_at_tip=True, agents=AGENTS))
        reasons = []
        kinds = (VoteKind.NOTARIZE, VoteKind.FINALIZE, VoteKind.NULLIFY)
        for kind in kinds if self.number % 2 == 0 else reversed(kinds):
            block_hash = NO_HASH if kind is VoteKind.NULLIFY else block(self.number, slot)
            vote = SignVote(kind, epoch, slot, block_hash)
            answer = self.agent.handle(vote)
            if isinstance(answer, Signed):
                self.net.released.append((self.number, vote, answer.signature))
            else:
                reasons.append(answer.reason)
        return reasons

    def hear(self):
        for _, vote, signature in self.net.released[self.heard :]:
            self.agent.handle(
                ReportOwnVote(vote.kind, vote.epoch, vote.slot, vote.block_hash, signature)
            )
        self.heard = len(self.net.released)


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def net():
    return Net()


@contextmanager
def running(number, folder, net, clock):
    with open_agent(folder, find_unlock(folder), clock) as agent:
        yield Node(number, agent, net, clock)


def play(nodes, slots, clock):
    """Return each node's refusals in its last slot."""
    last = {}
    for slot in slots:
        for node in nodes:
            node.hear()  # what was said in this slot arrives in the next
        for node in nodes:
            last[node.number] = node.tick(slot)
        clock._monotonic_ns += SLOT_NS
    return last


def listened(node, clock):
    """Let a node pass its lap of listening, alone."""
    node.agent.handle(ReportTip(is_at_tip=True, agents=AGENTS))
    clock._monotonic_ns += AGENTS * SLOT_NS


def test_a_cloned_card_that_boots_hears_the_original_and_never_votes(
    agent_folder, tmp_path, net, clock
):
    with ExitStack() as stack:
        original = stack.enter_context(running(0, agent_folder, net, clock))
        listened(original, clock)
        play([original], range(1, 5), clock)
        assert net.released

        shutil.copytree(agent_folder, tmp_path / "clone")
        (tmp_path / "clone" / "lock").unlink()
        clone = stack.enter_context(running(1, tmp_path / "clone", net, clock))
        last = play([original, clone], range(5, 25), clock)

    assert net.conflicts() == []
    assert {number for number, _, _ in net.released} == {0}
    assert set(last[1]) == {RefusedReason.ALARM}


@pytest.mark.parametrize("apart", [0, 1, 3])
def test_of_two_copies_that_start_together_the_lease_lets_one_vote(
    agent_folder, tmp_path, net, clock, apart
):
    """Both listen and hear nothing. The chain gives one of them the lease; the other goes on listening."""
    shutil.copytree(agent_folder, tmp_path / "clone")
    with (
        running(0, agent_folder, net, clock) as one,
        running(1, tmp_path / "clone", net, clock) as other,
    ):
        play([one], range(1, 1 + apart), clock)
        one.agent.handle(ReportLease(LeaseStanding.HELD, ""))
        other.agent.handle(ReportLease(LeaseStanding.TAKEN, "instance abcd holds this identity"))
        last = play([one, other], range(1 + apart, 40), clock)

    assert net.conflicts() == []
    assert {number for number, _, _ in net.released} == {0}
    assert set(last[1]) == {RefusedReason.ALARM}


def test_without_a_lease_two_copies_that_start_together_are_not_told_apart(
    agent_folder, tmp_path, net, clock
):
    """What the lease is for; both stop as soon as they hear each other."""
    shutil.copytree(agent_folder, tmp_path / "clone")
    with (
        running(0, agent_folder, net, clock) as one,
        running(1, tmp_path / "clone", net, clock) as other,
    ):
        last = play([one, other], range(1, 40), clock)

    assert {vote.slot for _, vote, _ in net.released} == {min(v.slot for _, v, _ in net.released)}
    assert net.conflicts()
    assert set(last[0]) == set(last[1]) == {RefusedReason.ALARM}


def test_the_clones_alarm_stands_after_the_original_has_gone(agent_folder, tmp_path, net, clock):
    shutil.copytree(agent_folder, tmp_path / "clone")
    with (
        running(0, agent_folder, net, clock) as original,
        running(1, tmp_path / "clone", net, clock) as clone,
    ):
        listened(original, clock)
        play([original, clone], range(1, 3), clock)

    with running(1, tmp_path / "clone", net, clock) as clone:
        last = play([clone], range(3, 30), clock)

    assert set(last[1]) == {RefusedReason.ALARM}
    assert {number for number, _, _ in net.released} == {0}


def test_a_stale_backup_is_quarantined_and_votes_again_only_two_epochs_later(
    agent_folder, tmp_path, net, clock
):
    shutil.copytree(agent_folder, tmp_path / "backup")
    with running(0, agent_folder, net, clock) as node:
        listened(node, clock)
        play([node], range(1, 20), clock)
    shutil.rmtree(agent_folder)
    shutil.copytree(tmp_path / "backup", agent_folder)
    quarantine(agent_folder, current_epoch=0)

    with running(1, agent_folder, net, clock) as restored:
        listened(restored, clock)
        refused = [reason for slot in range(1, 40) for reason in restored.tick(slot)]
        clock._monotonic_ns += 10 * SLOT_NS
        restored.tick(1, epoch=1)
        clock._monotonic_ns += 10 * SLOT_NS
        before = len(net.released)
        restored.tick(1, epoch=2)

    assert set(refused) <= {RefusedReason.SIGN_GUARD, RefusedReason.RATE_LIMIT}
    assert len(net.released) > before
    assert net.conflicts() == []


def test_a_stale_backup_without_quarantine_hears_its_own_votes_of_yesterday(
    agent_folder, tmp_path, net, clock
):
    """Peers' vote sets and the chain's certificates bring them while it listens."""
    shutil.copytree(agent_folder, tmp_path / "backup")
    with running(0, agent_folder, net, clock) as node:
        listened(node, clock)
        play([node], range(1, 6), clock)

    with running(1, tmp_path / "backup", net, clock) as restored:
        restored.heard = 0
        last = play([restored], range(1, 20), clock)

    assert set(last[1]) == {RefusedReason.ALARM}
    assert net.conflicts() == []


def test_a_missing_record_and_an_older_record_file(agent_folder, net, clock):
    guard = agent_folder / "guard"
    old = guard.read_bytes()
    with running(0, agent_folder, net, clock) as node:
        listened(node, clock)
        play([node], range(1, 6), clock)
    guard.unlink()
    with (
        pytest.raises(AgentError, match="is missing; nothing is signed"),
        running(1, agent_folder, net, clock),
    ):
        pass

    guard.write_bytes(old)
    guard.chmod(0o600)
    with (
        pytest.raises(
            AgentError, match="is an old copy: it is at epoch 0 slot 0, and the audit log"
        ),
        running(1, agent_folder, net, clock),
    ):
        pass
    quarantine(agent_folder, current_epoch=0)
    with running(1, agent_folder, net, clock):
        pass


def test_a_clock_set_back_between_two_starts_changes_nothing(agent_folder, net, clock):
    with running(0, agent_folder, net, clock) as node:
        listened(node, clock)
        play([node], range(1, 6), clock)
    clock.time_ms = 0

    with running(1, agent_folder, net, clock) as node:
        listened(node, clock)
        play([node], range(1, 20), clock)

    assert net.conflicts() == []
    assert {vote.slot for number, vote, _ in net.released if number == 1} == set(range(6, 20))


def test_the_net_itself_sees_conflicts(net):
    net.released = [
        (0, SignVote(VoteKind.FINALIZE, 0, 1, block(0, 1)), b""),
        (1, SignVote(VoteKind.FINALIZE, 0, 1, block(1, 1)), b""),
        (1, SignVote(VoteKind.NULLIFY, 0, 1, NO_HASH), b""),
    ]
    assert len(net.conflicts()) == 3
