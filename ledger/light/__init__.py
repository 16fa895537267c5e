"""Receipts: one reading and everything that proves it, checked offline against a genesis alone."""

from ledger.light.evidence import AnchorEvidence, SetChange, StateEvidence
from ledger.light.receipt import build_receipt
from ledger.light.state_file import VerifiedRecord, build_state_file, verify_state_file
from ledger.light.verification import BrokenLink, Link, VerifiedReading, verify_receipt

__all__ = [
    "AnchorEvidence",
    "BrokenLink",
    "Link",
    "SetChange",
    "StateEvidence",
    "VerifiedReading",
    "VerifiedRecord",
    "build_receipt",
    "build_state_file",
    "verify_receipt",
    "verify_state_file",
]
