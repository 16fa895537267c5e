"""Agents followed from the genesis through changes of the set, and proofs of the state against them."""

import json
from dataclasses import dataclass

import msgspec
import pytest

from ledger.codec.canonical import encode
from ledger.consensus.certificate import build_certificate, compute_quorum
from ledger.crypto.domains import NO_HASH, VoteKind, header_hash, vote_message
from ledger.crypto.ed25519 import sign
from ledger.light import (
    BrokenLink,
    Link,
    SetChange,
    StateEvidence,
    VerifiedRecord,
    build_state_file,
    verify_state_file,
)
from ledger.light.finality import NotFinalError, TrustedAgents
from ledger.params import PROTOCOL_VERSION
from ledger.state.commitment import StateTree
from ledger.types.agent_set import AgentSet, Seat, hash_agent_set
from ledger.types.block import Header, Vote
from ledger.types.genesis import Genesis, GenesisAgent
from ledger.types.genesis_file import genesis_chain_id
from tests.support.transactions import Person

OLD = tuple(sorted((Person(f"old {n}") for n in range(4)), key=lambda one: one.address))
# A newcomer whose seat is the first, so that no quorum of the old set is one of the new.
NEWCOMER = next(
    one for one in (Person(f"new {n}") for n in range(99)) if one.address < OLD[0].address
)
NEW = (NEWCOMER, *OLD[:3])
GENESIS = Genesis(
    PROTOCOL_VERSION,
    "test",
    0,
    3_000,
    30_000,
    tuple(
        GenesisAgent(
            one.address, Person(f"{one.name}'s votes").address, Person(f"{one.name} m").address
        )
        for one in OLD
    ),
    (),
)
CHAIN_ID = genesis_chain_id(GENESIS)
TREE = StateTree.from_items([(b"key", b"value"), (b"other", b"x")])


def agent_set(epoch: int, people: tuple[Person, ...]) -> AgentSet:
    seats = (Seat(one.address, Person(f"{one.name}'s votes").address, NO_HASH) for one in people)
    return AgentSet(epoch, NO_HASH, tuple(seats))


def make_header(epoch: int, **changes: object) -> Header:
    header = Header(
        *(PROTOCOL_VERSION, CHAIN_ID, epoch, 5, 10, 4, NO_HASH, 1_000, OLD[0].address, False),
        *(NO_HASH, TREE.root, NO_HASH, NO_HASH, bytes(13), NO_HASH),
    )
    return msgspec.structs.replace(header, **changes)


def certify(header: Header, people: tuple[Person, ...], count: int | None = None) -> bytes:
    subject = (VoteKind.FINALIZE, header.epoch, header.slot, header_hash(encode(header)))
    message = vote_message(CHAIN_ID, *subject)
    signers = list(enumerate(people))[: compute_quorum(len(people)) if count is None else count]
    votes = [
        Vote(*subject, seat, sign(Person(f"{one.name}'s votes").seed, message))
        for seat, one in signers
    ]
    return encode(build_certificate(votes))


@dataclass
class Change:
    """An end block of epoch 3 that hands over from OLD to NEW."""

    next_set = agent_set(4, NEW)
    header = make_header(3, next_set_hash=hash_agent_set(agent_set(4, NEW)))

    def make(self, **changes: object) -> SetChange:
        usual = SetChange(encode(self.header), certify(self.header, OLD), (), encode(self.next_set))
        return msgspec.structs.replace(usual, **changes)


CHANGE = Change().make()


def evidence(**changes: object) -> StateEvidence:
    header = make_header(5)
    usual = StateEvidence(
        b"key", b"value", TREE.prove(b"key"), encode(header), certify(header, NEW), (), (CHANGE,)
    )
    return msgspec.structs.replace(usual, **changes)


def verify(proof: StateEvidence) -> VerifiedRecord | BrokenLink:
    return verify_state_file(build_state_file(GENESIS, proof).encode(), GENESIS)


def test_a_record_is_proven_by_the_agents_that_a_change_names():
    found = verify(evidence())
    assert isinstance(found, VerifiedRecord), found
    assert (found.key, found.value, found.block_height) == (b"key", b"value", 10)
    assert set(found.signers) <= {one.address for one in NEW}


def test_absence_is_proven_as_well():
    found = verify(evidence(key=b"nothing", value=None, proof=TREE.prove(b"nothing")))
    assert isinstance(found, VerifiedRecord)
    assert found.value is None


def test_agents_that_did_not_change_need_no_change():
    header = make_header(2)
    found = verify(
        evidence(header=encode(header), certificate=certify(header, OLD), set_changes=())
    )
    assert isinstance(found, VerifiedRecord)


def broken(proof: StateEvidence) -> Link:
    found = verify(proof)
    assert isinstance(found, BrokenLink), found
    return found.link


@pytest.mark.parametrize(
    ("changes", "link"),
    [
        ({"value": b"forged"}, Link.RECORD),
        ({"value": None}, Link.RECORD),
        ({"key": b"other"}, Link.RECORD),
        ({"proof": TREE.prove(b"other")}, Link.RECORD),
        ({"header": encode(make_header(6))}, Link.CERTIFICATE),
        ({"certificate": certify(make_header(5), OLD)}, Link.CERTIFICATE),
        ({"certificate": certify(make_header(5), NEW, count=2)}, Link.CERTIFICATE),
        ({"descendants": (encode(make_header(5, slot=6)),)}, Link.CERTIFICATE),
        ({"set_changes": ()}, Link.CERTIFICATE),
        ({"set_changes": (CHANGE, CHANGE)}, Link.AGENT_SETS),
    ],
)
def test_one_part_that_is_wrong_breaks_its_link(changes, link):
    assert broken(evidence(**changes)) is link


@pytest.mark.parametrize(
    "changes",
    [
        {"next_set": encode(agent_set(4, OLD))},
        {"next_set": encode(agent_set(5, NEW))},
        {"next_set": b"\x00"},
        {"certificate": certify(Change.header, NEW)},
        {"certificate": certify(Change.header, OLD, count=2)},
        {"header": encode(make_header(3))},
    ],
)
def test_a_change_that_the_agents_before_did_not_certify_is_none(changes):
    with pytest.raises(NotFinalError):
        TrustedAgents(GENESIS).follow([Change().make(**changes)])


def test_a_certificate_may_be_about_a_descendant():
    block = make_header(5)
    child = make_header(5, parent_hash=header_hash(encode(block)), slot=7, height=11)
    proof = evidence(
        header=encode(block), descendants=(encode(child),), certificate=certify(child, NEW)
    )
    assert isinstance(verify(proof), VerifiedRecord)


def test_a_block_before_the_newest_change_is_not_proven_by_it():
    header = make_header(3)
    proof = evidence(header=encode(header), certificate=certify(header, NEW))
    assert broken(proof) is Link.CERTIFICATE


def test_any_edit_of_the_file_is_seen():
    text = build_state_file(GENESIS, evidence())
    fields = json.loads(text)
    edits = (
        text.replace("smartshare-state/1", "smartshare-state/2"),
        text.replace("\n", " ", 1),
        json.dumps(fields | {"value": "00"}),
        json.dumps(fields | {"evidence": fields["evidence"][:-2]}),
        "[]",
    )
    for edited in edits:
        found = verify_state_file(edited.encode(), GENESIS)
        assert isinstance(found, BrokenLink)
        assert found.link is Link.FILE_FORMAT
    other = msgspec.structs.replace(GENESIS, name="another")
    found = verify_state_file(text.encode(), other)
    assert isinstance(found, BrokenLink)
    assert found.link is Link.GENESIS
