"""Requests about what the wallet may spend. Whoever may sign may ask; only the owner's passphrase changes."""

from typing import Annotated

import msgspec
from msgspec import Meta

from gateway.smart_agent.spending.rules import SpendingPolicy, Spent
from ledger.types.primitives import Hash

PASSPHRASE_BYTES_MAX = 1024

Passphrase = Annotated[bytes, Meta(min_length=1, max_length=PASSPHRASE_BYTES_MAX)]


class AskSpending(
    msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="spending"
):
    """Ask for the policy and the account. Answer: `Spending`."""


class ChangeSpending(
    msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="change-spending"
):
    """Put another policy in force. Answer: `Spending`."""

    passphrase: Passphrase
    policy: SpendingPolicy


class ApprovePayment(
    msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="approve"
):
    """Approve the one payment whose payload has this SHA-256, for ten minutes. Answer: `Spending`."""

    passphrase: Passphrase
    payment: Hash


class Spending(msgspec.Struct, frozen=True, array_like=True, tag="spending-state"):
    """The policy, what left in the running 24 hours, and whether an owner's passphrase was set."""

    policy: SpendingPolicy
    spent: Spent
    has_owner: bool


SpendingRequest = AskSpending | ChangeSpending | ApprovePayment
