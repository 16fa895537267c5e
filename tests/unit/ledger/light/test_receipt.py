"""A receipt proves one reading offline; whatever is changed in it, one named link breaks."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ledger.codec.canonical import Decoder, encode
from ledger.codec.merkle import audit_path, merkle_root
from ledger.crypto.domains import VoteKind, header_hash, transaction_id, vote_message
from ledger.crypto.ed25519 import sign
from ledger.light import (
    AnchorEvidence,
    BrokenLink,
    Link,
    VerifiedReading,
    build_receipt,
    verify_receipt,
)
from ledger.light.receipt import format_decimal
from ledger.light.sided_path import compute_sided_path, is_included
from ledger.params import PROTOCOL_VERSION
from ledger.types.block import Certificate, Header
from ledger.types.genesis import Genesis, GenesisAgent
from ledger.types.genesis_file import genesis_chain_id
from ledger.types.outcome import Outcome, OutcomeStatus
from ledger.types.transaction import SignedTransaction
from tests.support.ledger_lab import (
    DEVICE,
    Lab,
    ReadingBatch,
    address_of,
    finalise,
    make_device_registration,
    make_genesis,
    make_reading,
    seed_of,
    sign_body,
)

Fields = dict[str, Any]


@dataclass(frozen=True)
class Proven:
    """Evidence from a real node, for the fourth of five readings, in a block with neighbours."""

    genesis: Genesis
    batch: ReadingBatch
    evidence: AnchorEvidence

    def receipt(self, index: int = 3, **changed: Any) -> str:
        evidence = msgspec.structs.replace(self.evidence, **changed)
        leaf, path = self.batch.leaves[index], self.batch.paths[index]
        return build_receipt(self.genesis, leaf, index, 5, path, evidence)


@pytest.fixture
async def proven(tmp_path: Path) -> Proven:
    lab = Lab(tmp_path)
    node = lab.open()
    batch = ReadingBatch(first=1, count=5)
    try:
        await finalise(node, lab.sign("metering", 0, make_device_registration()))
        anchor = lab.sign("metering", 1, batch.make_anchor())
        neighbours = [lab.transfer("alice", nonce) for nonce in range(3)]
        await finalise(node, neighbours[0], anchor, *neighbours[1:], lab.transfer("bob", 0))
        anchor_id = node.submit(anchor)
        assert isinstance(anchor_id, bytes)
        evidence = node.anchor_evidence(anchor_id)
    finally:
        node.close()
    assert evidence is not None
    return Proven(lab.genesis, batch, evidence)


def broken(text: str | bytes, genesis: Genesis) -> BrokenLink:
    data = text if isinstance(text, bytes) else text.encode()
    verdict = verify_receipt(data, genesis)
    assert isinstance(verdict, BrokenLink)
    assert "\n" not in str(verdict)
    return verdict


def edited(text: str, **changed: Any) -> str:
    """Return the receipt with other fields, in the layout that the program itself writes."""
    fields = json.loads(text) | changed
    return json.dumps(fields, indent=2, ensure_ascii=False) + "\n"


def test_a_receipt_proves_its_reading(proven: Proven):
    verdict = verify_receipt(proven.receipt().encode(), proven.genesis)
    assert isinstance(verdict, VerifiedReading)
    assert verdict.reading == make_reading(4)
    header = Decoder(Header).decode(proven.evidence.header)
    assert (verdict.block_height, verdict.block_time_ms) == (2, header.time_ms)
    assert verdict.metering_key == address_of("metering")
    assert verdict.signers == (address_of("node"),)
    payload = Decoder(SignedTransaction).decode(proven.evidence.transaction).payload
    assert verdict.anchor_id == transaction_id(payload)


def test_the_editing_helper_of_these_tests_writes_what_the_program_writes(proven: Proven):
    assert edited(proven.receipt()) == proven.receipt()


def test_the_summary_is_what_people_read(proven: Proven):
    summary = json.loads(proven.receipt())["summary"]
    assert summary["device_id"] == DEVICE.hex()
    assert summary["gateway_time"] == "2023-11-14T22:13:24.000Z"
    assert summary["quantities"] == [
        {"name": "voltage", "value": "231.5", "unit": "V"},
        {"name": "temperature", "value": "-0.05", "unit": "°C"},
        {"name": "energy", "value": "12000", "unit": "Wh"},
        {"name": "phase", "value": None, "unit": ""},
    ]


@pytest.mark.parametrize(
    ("value", "scale", "text"),
    [(0, 0, "0"), (5, -1, "0.5"), (-5, -3, "-0.005"), (1200, -2, "12.00"), (7, 2, "700")],
)
def test_decimals_are_exact(value: int, scale: int, text: str):
    assert format_decimal(value, scale) == text


def test_every_leaf_of_the_anchor_has_its_receipt(proven: Proven):
    for index in range(5):
        verdict = verify_receipt(proven.receipt(index).encode(), proven.genesis)
        assert isinstance(verdict, VerifiedReading)
        assert verdict.reading.sequence == 1 + index


@pytest.mark.parametrize("pattern", [0x01, 0x02, 0x10, 0x20, 0x80, 0xFF])
def test_any_changed_byte_is_refused(proven: Proven, pattern: int):
    data = bytearray(proven.receipt().encode())
    for position in range(len(data)):
        data[position] ^= pattern
        assert isinstance(verify_receipt(bytes(data), proven.genesis), BrokenLink), position
        data[position] ^= pattern


def test_any_cut_or_addition_is_refused(proven: Proven):
    data = proven.receipt().encode()
    for length in range(0, len(data), 7):
        assert broken(data[:length], proven.genesis).link is Link.FILE_FORMAT
    for addition in (b"\n", b" ", b"{}", b"\0"):
        assert broken(data + addition, proven.genesis).link is Link.FILE_FORMAT


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b'{"format": "other"}',
        b"[" * 100_000,
        b"1" * 200_000,
    ],
)
def test_what_is_no_receipt_at_all_is_refused(data: bytes):
    assert broken(data, make_genesis()).link is Link.FILE_FORMAT


def test_a_hostile_file_cannot_write_on_the_screen():
    line = str(
        broken(b'{"format": "smartshare-receipt/1", "\\u001b[2J\\nfake": 1}', make_genesis())
    )
    assert line.isprintable()


def test_another_genesis_is_named(proven: Proven):
    other = make_genesis(name="another chain")
    assert broken(proven.receipt(), other).link is Link.GENESIS


async def test_a_receipt_that_holds_on_another_chain_is_refused(proven: Proven, tmp_path: Path):
    theirs = make_genesis(name="another chain", agent="other-")
    assert broken(proven.receipt(), theirs).link is Link.GENESIS
    relabelled = edited(proven.receipt(), chain_id=genesis_chain_id(theirs).hex())
    assert broken(relabelled, theirs).link is Link.ANCHOR_TRANSACTION


def test_another_reading_breaks_the_leaf_path(proven: Proven):
    forged = encode(make_reading(4, value=9_999))
    leaf = proven.batch.leaves[3]
    text = proven.receipt().replace(leaf.hex(), forged.hex())
    assert broken(text, proven.genesis).link is Link.LEAF_PATH


def test_bytes_that_are_no_reading_break_the_reading(proven: Proven):
    leaf = proven.batch.leaves[3]
    text = proven.receipt().replace(leaf.hex(), leaf.hex() + "c0")
    assert broken(text, proven.genesis).link is Link.READING


def test_the_path_of_another_leaf_breaks_the_leaf_path(proven: Proven):
    other = [step.hex() for step in proven.batch.paths[2]]
    assert broken(edited(proven.receipt(), leaf_path=other), proven.genesis).link is Link.LEAF_PATH


@pytest.mark.parametrize("changed", [{"leaf_index": 2}, {"leaf_count": 6}, {"leaf_index": -1}])
def test_another_place_in_the_anchor_breaks_the_leaf_path(proven: Proven, changed: Fields):
    assert broken(edited(proven.receipt(), **changed), proven.genesis).link is Link.LEAF_PATH


@pytest.mark.parametrize(
    "changed", [{"sequence": 5}, {"clock": "unsynchronised"}, {"gateway_time": "2023"}]
)
def test_words_that_say_something_else_break_the_summary(proven: Proven, changed: Fields):
    fields = json.loads(proven.receipt())
    text = edited(proven.receipt(), summary=fields["summary"] | changed)
    assert broken(text, proven.genesis).link is Link.SUMMARY


def test_an_anchor_with_a_forged_signature_breaks_the_anchor(proven: Proven):
    envelope = Decoder(SignedTransaction).decode(proven.evidence.transaction)
    forged = encode(msgspec.structs.replace(envelope, signature=bytes(64)))
    verdict = broken(proven.receipt(transaction=forged), proven.genesis)
    assert verdict.link is Link.ANCHOR_TRANSACTION


def test_a_transaction_of_another_kind_is_no_anchor(proven: Proven):
    registration = sign_body(proven.genesis, "metering", 1, make_device_registration())
    verdict = broken(proven.receipt(transaction=registration), proven.genesis)
    assert verdict.link is Link.ANCHOR_TRANSACTION


def test_an_anchor_of_another_profile_breaks_the_anchor(proven: Proven):
    anchor = proven.batch.make_anchor(profile=bytes(32))
    verdict = broken(
        proven.receipt(transaction=sign_body(proven.genesis, "metering", 1, anchor)), proven.genesis
    )
    assert verdict.link is Link.ANCHOR_TRANSACTION


def test_an_anchor_of_another_device_breaks_the_anchor(proven: Proven):
    anchor = msgspec.structs.replace(proven.batch.make_anchor(), device_id=bytes(32))
    verdict = broken(
        proven.receipt(transaction=sign_body(proven.genesis, "metering", 1, anchor)), proven.genesis
    )
    assert verdict.link is Link.ANCHOR_TRANSACTION
    assert verdict.detail == "it anchors another device"


def test_an_anchor_that_is_not_in_the_block_breaks_the_transaction_path(proven: Proven):
    again = sign_body(proven.genesis, "metering", 2, proven.batch.make_anchor())
    verdict = broken(proven.receipt(transaction=again), proven.genesis)
    assert verdict.link is Link.TRANSACTION_PATH


def test_another_outcome_breaks_the_outcome(proven: Proven):
    outcome = Decoder(Outcome).decode(proven.evidence.outcome)
    forged = encode(msgspec.structs.replace(outcome, fee_paid=outcome.fee_paid + 1))
    assert broken(proven.receipt(outcome=forged), proven.genesis).link is Link.OUTCOME


def test_another_header_breaks_what_it_commits_to(proven: Proven):
    header = Decoder(Header).decode(proven.evidence.header)
    other_root = encode(msgspec.structs.replace(header, transactions_root=bytes(32)))
    verdict = broken(proven.receipt(header=other_root), proven.genesis)
    assert verdict.link is Link.TRANSACTION_PATH
    other_time = encode(msgspec.structs.replace(header, time_ms=header.time_ms + 1))
    assert broken(proven.receipt(header=other_time), proven.genesis).link is Link.CERTIFICATE
    assert broken(proven.receipt(header=b"\xc0"), proven.genesis).link is Link.HEADER


class Forger:
    """Signs blocks with the agent's own key: only rules about content stand in its way."""

    def __init__(self, proven: Proven) -> None:
        self.proven = proven
        self.chain_id = genesis_chain_id(proven.genesis)

    def receipt(self, transaction: bytes, outcome: Outcome, **header: Any) -> str:
        transactions, outcomes = [b"neighbour", transaction], [b"neighbour", encode(outcome)]
        real = Decoder(Header).decode(self.proven.evidence.header)
        roots = {
            "transactions_root": merkle_root(transactions),
            "outcomes_root": merkle_root(outcomes),
        }
        forged = encode(msgspec.structs.replace(real, **(roots | header)))
        return self.proven.receipt(
            transaction=transaction,
            outcome=encode(outcome),
            position=1,
            count=2,
            transaction_path=audit_path(transactions, 1),
            outcome_path=audit_path(outcomes, 1),
            header=forged,
            certificate=encode(self.certify(forged, real)),
        )

    def certify(
        self,
        header: bytes,
        real: Header,
        kind: VoteKind = VoteKind.FINALIZE,
        key: str = "consensus",
    ) -> Certificate:
        subject = (kind, real.epoch, real.slot, header_hash(header))
        signature = sign(seed_of(key), vote_message(self.chain_id, *subject))
        return Certificate(*subject, signers=b"\x01" + bytes(12), signatures=(signature,))


@pytest.fixture
def forger(proven: Proven) -> Forger:
    return Forger(proven)


@pytest.fixture
def outcome(proven: Proven) -> Outcome:
    return Decoder(Outcome).decode(proven.evidence.outcome)


def test_the_forger_of_these_tests_could_succeed(forger: Forger, outcome: Outcome):
    text = forger.receipt(forger.proven.evidence.transaction, outcome)
    assert isinstance(verify_receipt(text.encode(), forger.proven.genesis), VerifiedReading)


def test_an_anchor_that_the_chain_refused_proves_nothing(forger: Forger, outcome: Outcome):
    failed = msgspec.structs.replace(outcome, status=OutcomeStatus.FAILED, reason="out-of-sequence")
    text = forger.receipt(forger.proven.evidence.transaction, failed)
    assert broken(text, forger.proven.genesis).link is Link.OUTCOME


def test_the_outcome_of_another_transaction_proves_nothing(forger: Forger, outcome: Outcome):
    other = msgspec.structs.replace(outcome, transaction_id=bytes(32))
    text = forger.receipt(forger.proven.evidence.transaction, other)
    assert broken(text, forger.proven.genesis).link is Link.OUTCOME


@pytest.mark.parametrize("changed", [{"chain_id": bytes(32)}, {"version": PROTOCOL_VERSION + 1}])
def test_a_block_of_other_rules_breaks_the_header(
    forger: Forger, outcome: Outcome, changed: Fields
):
    text = forger.receipt(forger.proven.evidence.transaction, outcome, **changed)
    assert broken(text, forger.proven.genesis).link is Link.HEADER


@pytest.mark.parametrize("kind", [VoteKind.NOTARIZE, VoteKind.NULLIFY])
def test_only_a_finalization_makes_a_block_final(forger: Forger, kind: VoteKind):
    evidence = forger.proven.evidence
    real = Decoder(Header).decode(evidence.header)
    certificate = encode(forger.certify(evidence.header, real, kind))
    text = forger.proven.receipt(certificate=certificate)
    assert broken(text, forger.proven.genesis).link is Link.CERTIFICATE


def test_only_the_agents_of_the_genesis_make_a_block_final(forger: Forger):
    evidence = forger.proven.evidence
    real = Decoder(Header).decode(evidence.header)
    certificate = encode(forger.certify(evidence.header, real, key="alice"))
    text = forger.proven.receipt(certificate=certificate)
    assert broken(text, forger.proven.genesis).link is Link.CERTIFICATE


def test_one_signature_is_no_quorum_of_four_agents(forger: Forger):
    names = ["", "b-", "c-", "d-"]
    agents = tuple(
        GenesisAgent(
            address_of(f"{name}node"), address_of(f"{name}consensus"), address_of(f"{name}metering")
        )
        for name in names
    )
    genesis: Genesis = msgspec.structs.replace(forger.proven.genesis, agents=agents)
    # The chain's id is part of every signature, so the whole receipt is made for the larger set.
    lone = Proven(genesis, forger.proven.batch, forger.proven.evidence)
    anchor = sign_body(genesis, "metering", 1, lone.batch.make_anchor())
    anchor_id = transaction_id(Decoder(SignedTransaction).decode(anchor).payload)
    outcome = msgspec.structs.replace(
        Decoder(Outcome).decode(lone.evidence.outcome), transaction_id=anchor_id
    )
    alone = Forger(lone)
    text = alone.receipt(anchor, outcome, chain_id=alone.chain_id)
    verdict = broken(text, genesis)
    assert verdict.link is Link.CERTIFICATE
    assert "1 signers where 3 are needed" in verdict.detail


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 13, 21])
def test_sided_paths_prove_every_leaf_and_no_other(count: int):
    leaves = [b"leaf %d" % index for index in range(count)]
    root = merkle_root(leaves)
    for position, leaf in enumerate(leaves):
        path = compute_sided_path(position, count, audit_path(leaves, position))
        assert is_included(leaf, path, root)
        assert not is_included(b"other", path, root)
        mirrored = tuple(("left" if side == "right" else "right", step) for side, step in path)
        assert count == 1 or not is_included(leaf, mirrored, root)
