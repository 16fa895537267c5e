"""Receipts: one reading and everything that proves it, checked offline against a genesis alone."""

from ledger.light.evidence import AnchorEvidence
from ledger.light.receipt import build_receipt
from ledger.light.verification import BrokenLink, Link, VerifiedReading, verify_receipt

__all__ = [
    "AnchorEvidence",
    "BrokenLink",
    "Link",
    "VerifiedReading",
    "build_receipt",
    "verify_receipt",
]
