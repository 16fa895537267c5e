"""What is checked without a node: receipts and state proofs against a genesis, snapshots against a checkpoint."""

from ledger.light.evidence import AnchorEvidence, SetChange, StateEvidence
from ledger.light.receipt import build_receipt
from ledger.light.snapshot import (
    Checkpoint,
    Snapshot,
    encode_snapshot,
    make_snapshot,
    verify_snapshot,
)
from ledger.light.state_file import VerifiedRecord, build_state_file, verify_state_file
from ledger.light.verification import BrokenLink, Link, VerifiedReading, verify_receipt

__all__ = [
    "AnchorEvidence",
    "BrokenLink",
    "Checkpoint",
    "Link",
    "SetChange",
    "Snapshot",
    "StateEvidence",
    "VerifiedReading",
    "VerifiedRecord",
    "build_receipt",
    "build_state_file",
    "encode_snapshot",
    "make_snapshot",
    "verify_receipt",
    "verify_snapshot",
    "verify_state_file",
]
