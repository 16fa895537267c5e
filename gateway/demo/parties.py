"""The two parties of the demonstration: a provider behind the gateway, and a consumer elsewhere.

The provider's wallet is the node's own, behind the SmartAgent. The consumer is somebody else: a key
of their own, kept outside the gateway, and coins from the genesis.
"""

import secrets
from dataclasses import dataclass
from pathlib import Path

from gateway.app.operator import EXPIRY_HEIGHTS, Operator
from gateway.app.transactions import build_payload, wrap
from gateway.model.ledger_api import AccountReply, StatusReply
from gateway.settings import write_private
from ledger.crypto import ed25519
from ledger.crypto.domains import transaction_id, transaction_message
from ledger.params import SSP_BASE_UNITS
from ledger.types.transaction import Body

CONSUMER_AMOUNT = 500 * SSP_BASE_UNITS
CONSUMER_FILE = "demo-consumer.seed"


@dataclass(frozen=True, slots=True)
class Consumer:
    """A wallet that signs for itself."""

    seed: bytes

    def __repr__(self) -> str:
        return "Consumer(...)"

    @property
    def address(self) -> bytes:
        """The consumer's account."""
        return ed25519.derive_public_key(self.seed)

    def send(self, operator: Operator, body: Body) -> str:
        """Sign and submit a transaction; return its id in hexadecimal."""
        sender = self.address
        account = operator.ask("account", {"address": sender.hex()}, AccountReply)
        status = operator.ask("status", {}, StatusReply)
        payload = build_payload(
            bytes.fromhex(status.chain_id),
            sender,
            account.pending_nonce,
            status.height + EXPIRY_HEIGHTS,
            body,
        )
        signature = ed25519.sign(self.seed, transaction_message(payload))
        operator.submit(wrap(payload, signature))
        return transaction_id(payload).hex()


def make_consumer() -> Consumer:
    """Return a consumer with a new key."""
    return Consumer(secrets.token_bytes(ed25519.SEED_BYTES))


def save_consumer(folder: Path, consumer: Consumer) -> None:
    """Keep the consumer's key beside the demonstration, so that it can be run again."""
    write_private(folder / CONSUMER_FILE, consumer.seed)


def load_consumer(folder: Path) -> Consumer:
    """Return the consumer of an earlier run."""
    return Consumer((folder / CONSUMER_FILE).read_bytes())
