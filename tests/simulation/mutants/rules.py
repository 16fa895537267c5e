"""One broken rule each: the text of the rule, and what stands there instead.

The mutants prove that the simulator would notice: every one of them must be killed. `kind` is the
adversary (None: all of them) under which the rule matters most.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutant:
    """A change of one place in the source."""

    name: str
    file: str
    old: str
    new: str
    kind: str | None = None
    seeds: int = 600


MUTANTS = (
    Mutant(
        "quorum of Q - 1",
        "ledger/consensus/certificate.py",
        "return agent_count - (agent_count - 1) // 3",
        "return max(1, agent_count - (agent_count - 1) // 3 - 1)",
    ),
    Mutant(
        "guard: FINALIZE after NULLIFY",
        "gateway/smart_agent/judge.py",
        "    if record.nullified:\n        return GuardRefusal.NULLIFIED\n",
        "",
        kind="puppet",
    ),
    Mutant(
        "guard: a second NOTARIZE",
        "gateway/smart_agent/judge.py",
        "    if record.notarized not in (None, block_hash):\n"
        "        return GuardRefusal.OTHER_NOTARIZED\n",
        "",
        kind="puppet",
    ),
    Mutant(
        "guard: a second FINALIZE",
        "gateway/smart_agent/judge.py",
        "    if record.finalized not in (None, block_hash):\n"
        "        return GuardRefusal.OTHER_FINALIZED\n",
        "",
        kind="puppet",
    ),
    Mutant(
        "guard: NULLIFY after FINALIZE",
        "gateway/smart_agent/judge.py",
        "    if record.finalized is not None:\n        return GuardRefusal.FINALIZED\n",
        "",
        kind="puppet",
    ),
    Mutant(
        "guard: slots may go back",
        "gateway/smart_agent/judge.py",
        "    if (vote.epoch, vote.slot) < (record.epoch, record.slot):\n"
        "        return GuardRefusal.PAST_SLOT\n"
        "    if (vote.epoch, vote.slot) > (record.epoch, record.slot):\n",
        "    if (vote.epoch, vote.slot) != (record.epoch, record.slot):\n",
        kind="puppet",
    ),
    Mutant(
        "the guard's record is not written",
        "gateway/lab/node.py",
        "                self.disk.write_guard(verdict)\n",
        "                pass\n",
    ),
    Mutant(
        "gap of skipped slots not checked",
        "ledger/consensus/parents.py",
        "    return all(slot in held.nullified for slot in range(header.parent_slot + 1, header.slot))",
        "    return True",
        kind="skipper",
    ),
    Mutant(
        "certificates are not durable",
        "ledger/consensus/certifying.py",
        "    if kind is not VoteKind.FINALIZE:\n        state.emit(PersistCertificate(certificate))\n",
        "",
    ),
    Mutant(
        "blocks are not durable before the vote",
        "ledger/consensus/fetching.py",
        "        state.emit(PersistProposal(proposal))\n",
        "        pass\n",
    ),
    Mutant(
        "blocks are voted for without execution",
        "ledger/consensus/executing.py",
        "    if proposal.hash not in state.validating:\n"
        "        state.validating.add(proposal.hash)\n"
        "        state.emit(ValidateBlock(proposal))\n"
        "    return False\n",
        "    state.valid.add(proposal.hash)\n    return True\n",
        kind="equivocator",
    ),
    Mutant(
        "votes are not verified",
        "gateway/lab/node.py",
        "votes = tuple(v for v in wanted.votes if verify_vote(v, chain_id, keys, check) is None)",
        "votes = wanted.votes",
        kind="forger",
    ),
    Mutant(
        "certificates are not verified",
        "ledger/consensus/certificate.py",
        "        if not check(agent_keys[agent], message, signature):\n",
        "        if agent > 99:\n",
        kind="forger",
    ),
    Mutant(
        "any number of signers makes a certificate",
        "ledger/consensus/certificate.py",
        "    if len(signers) < quorum:\n",
        "    if not signers:\n",
        kind="forger",
    ),
    Mutant(
        "FINALIZE votes are not sent",
        "ledger/consensus/certifying.py",
        "        ask_vote(state, VoteKind.FINALIZE, slot, block_hash)",
        "        pass",
    ),
    Mutant(
        "no seals: the epoch's end may be built upon",
        "ledger/consensus/blocks.py",
        "    return parent is not None and (parent.header.seal or is_epoch_end(parent.header))",
        "    return False",
    ),
    Mutant(
        "a finalization is believed without its blocks' links",
        "ledger/consensus/committing.py",
        "        block_hash = proposal.header.parent_hash\n    path.reverse()",
        "        block_hash = state.tip.hash\n    path.reverse()",
    ),
    Mutant(
        "missing final blocks are not asked for",
        "ledger/consensus/syncing.py",
        "    state.emit(Send(peer, GetChain(state.tip.height)))\n",
        "",
    ),
    Mutant(
        "nothing is said twice",
        "ledger/consensus/machine.py",
        "        repeat(state)\n"
        "    if not state.epoch.is_ours_alone and now_ms >= pace.gossip_ms:\n"
        "        pace.gossip_ms = now_ms + rules.gossip_ms\n"
        "        exchange(state)\n",
        "",
    ),
    Mutant(
        "who took part is believed without a certificate",
        "ledger/consensus/receiving.py",
        "    return any(\n        certificate.slot == header.parent_slot\n",
        "    return True or any(\n        certificate.slot == header.parent_slot\n",
        kind="equivocator",
    ),
    Mutant(
        "a proposal of another than the slot's leader",
        "ledger/consensus/receiving.py",
        "        and vote.voter == state.epoch.leader(vote.slot)\n",
        "",
        kind="usurper",
    ),
    Mutant(
        "a piece of chain is believed without its certificate",
        "ledger/consensus/receiving.py",
        "        return proof in verified.certificates and take_chain(state, message, proof)\n",
        "        return take_chain(state, message, proof)\n",
        kind="usurper",
    ),
    Mutant(
        "slots are not skipped",
        "ledger/consensus/machine.py",
        "        nullify(state)\n        if pace",
        "        if pace",
    ),
    Mutant(
        "honest agents are accused of voting N and X",
        "ledger/consensus/vote_book.py",
        "    return {first.kind, second.kind} == {VoteKind.NULLIFY, VoteKind.FINALIZE}",
        "    return VoteKind.NULLIFY in {first.kind, second.kind}",
    ),
    Mutant(
        "votes are kept without a limit",
        "ledger/consensus/vote_book.py",
        "        return len(given) >= VOTES_PER_SLOT_MAX or vote.voter in slot.by_subject.get(",
        "        return vote.voter in slot.by_subject.get(",
        kind="flooder",
    ),
    Mutant(
        "votes are kept far beyond the window",
        "ledger/consensus/certifying.py",
        "<= state.slot + WINDOW\n",
        "<= state.slot + 10**9\n",
        kind="flooder",
    ),
)
