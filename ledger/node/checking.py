"""Many transactions' form and signatures, checked here and by verifiers at the same time.

Rule: the verdict is that of checking them one by one in order; who verified which is invisible.
"""

import os
from collections.abc import Sequence
from typing import Self

from ledger.crypto.ed25519 import SignatureClaim
from ledger.errors import Rejected
from ledger.node.verifiers import Part, Verifiers
from ledger.state.admission import check_transaction, open_transaction
from ledger.state.context import CheckedTransaction

PART_TRANSACTIONS = 16  # below 1 ms of one core: nobody waits longer for another's last one
SHARED_TRANSACTIONS_MIN = 64  # fewer are checked at once
STARTING_TRANSACTIONS_MIN = 256  # what verifiers are started for: as long as their start takes
VERIFIERS_MAX = 3

Verdict = tuple[CheckedTransaction, ...] | Rejected


class Checking:
    """Transactions that are being checked, the well-formed ones in parts of `PART_TRANSACTIONS`."""

    def __init__(self, raws: Sequence[bytes], chain_id: bytes, verifiers: Verifiers) -> None:
        self.raws = raws
        self.parts: list[Part] = []
        self._chain_id = chain_id
        self._verifiers = verifiers
        self._opened: list[CheckedTransaction] = []
        self._verdict: Verdict | None = None
        self._open()

    def result(self) -> Verdict:
        """Return all of them checked, in order, or why the first bad one is refused.

        What is left of the work is done here, beside the verifiers.
        """
        if self._verdict is None:
            self._verifiers.finish(self.parts)
            self._verdict = self._judge()
            self.parts = []
        return self._verdict

    def abandon(self) -> None:
        """Let the verifiers pass over what they have not got yet: nobody wants the result."""
        for part in self.parts:
            if not part.is_sent:
                part.is_genuine = False

    def _open(self) -> None:
        """Open all up to the part with the first one that is malformed; `_judge` comes back to that."""
        for start in range(0, len(self.raws), PART_TRANSACTIONS):
            claims: list[SignatureClaim] = []
            for raw in self.raws[start : start + PART_TRANSACTIONS]:
                opened = open_transaction(raw, self._chain_id)
                if isinstance(opened, Rejected):
                    return
                self._opened.append(opened.checked)
                claims += opened.claims
            self.parts.append(Part(claims))

    def _judge(self) -> Verdict:
        good = 0
        while good < len(self.parts) and self.parts[good].is_genuine:
            good += 1
        first = good * PART_TRANSACTIONS
        rest = check_one_by_one(self.raws[first:], self._chain_id)
        return rest if isinstance(rest, Rejected) else (*self._opened[:first], *rest)


class TransactionChecker:
    """Checks transactions of one chain; its verifiers start with the first block that is worth it."""

    def __init__(self, chain_id: bytes, verifiers: int | None = None) -> None:
        self._chain_id = chain_id
        others = len(os.sched_getaffinity(0)) - 1
        self._count = min(others, VERIFIERS_MAX) if verifiers is None else verifiers
        self.verifiers = Verifiers(self._count)
        self._expected: dict[tuple[bytes, ...], Checking] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the verifiers."""
        self.verifiers.close()

    def expect(self, blocks: Sequence[tuple[bytes, ...]]) -> None:
        """Begin with the transactions of blocks that will be asked for soon, in this order.

        It takes the place of what was expected before.
        """
        while self._expected:
            self._expected.popitem()[1].abandon()
        total = sum(map(len, blocks))
        if total >= STARTING_TRANSACTIONS_MIN:
            self._expected = {raws: self._start(raws, total) for raws in blocks if raws}

    def check(self, raws: tuple[bytes, ...]) -> Verdict:
        """Return these transactions checked, or why the first bad one is refused."""
        begun = self._expected.pop(raws, None)
        if begun is not None:
            return begun.result()
        if len(raws) < SHARED_TRANSACTIONS_MIN:
            self.verifiers.exchange()  # those that have ended are not kept waiting
            return check_one_by_one(raws, self._chain_id)
        return self.start(raws).result()

    def start(self, raws: Sequence[bytes]) -> Checking:
        """Begin with these transactions, behind those begun before."""
        return self._start(raws, len(raws))

    def _start(self, raws: Sequence[bytes], total: int) -> Checking:
        """Begin with some of so many transactions in all."""
        checking = Checking(raws, self._chain_id, self.verifiers)
        if total >= STARTING_TRANSACTIONS_MIN:
            self.verifiers.start()
        share = len(checking.parts) * self._count // (self._count + 1)
        self.verifiers.submit(checking.parts, share)
        return checking


def check_one_by_one(raws: Sequence[bytes], chain_id: bytes) -> Verdict:
    """Return these transactions checked in order, or why the first bad one is refused."""
    checked: list[CheckedTransaction] = []
    for raw in raws:
        transaction = check_transaction(raw, chain_id)
        if isinstance(transaction, Rejected):
            return transaction
        checked.append(transaction)
    return tuple(checked)
