"""The demonstration's contract: one session of metered energy under a time-of-use tariff."""

import secrets
from dataclasses import dataclass
from typing import TypeAlias

from edge_contracts.library import load_library_contract
from edge_contracts.values import Value, decode_value, encode_value
from gateway.app.operator import Operator, check_applied
from gateway.app.receipts import make_proof
from gateway.app.registry import bind_session
from gateway.app.wallet import WalletAccount
from gateway.demo.parties import load_consumer
from gateway.demo.patience import PATIENCE_S
from gateway.demo.stage import METER
from gateway.errors import GatewayError
from gateway.model.ledger_api import AccountReply, QueryReply
from gateway.readings.queries import ReadingsReader
from gateway.settings import Home
from ledger.codec.text import format_address
from ledger.crypto.domains import contract_address
from ledger.params import CONTRACT_CALL_GAS_MAX, SSP_BASE_UNITS
from ledger.types.transaction import CallContract, DeployContract

DEPOSIT = 50 * SSP_BASE_UNITS
QUANTITY = "energy_import_total"
GAP_MAX_MS = 6 * 3_600_000  # the day runs 3600 times as fast: this is six seconds
RECORD_EVERY_MS = 10 * 60_000
CENT = SSP_BASE_UNITS // 100

TARIFF: "dict[str, Value]" = {
    "name": "household, by time of use",
    "fixed": 25 * CENT,
    "utc_offset_minutes": 0,
    "zones": [
        {"name": "night", "from_minute": 0, "to_minute": 6 * 60, "price": 18 * CENT},
        {"name": "day", "from_minute": 6 * 60, "to_minute": 17 * 60, "price": 29 * CENT},
        {"name": "evening", "from_minute": 17 * 60, "to_minute": 21 * 60, "price": 41 * CENT},
        {"name": "late", "from_minute": 21 * 60, "to_minute": 24 * 60, "price": 22 * CENT},
    ],
}

Table: TypeAlias = "dict[str, Value]"


@dataclass
class Settlement:
    """Deploys, opens, asks and settles on behalf of the two parties."""

    home: Home
    operator: Operator
    contract: bytes = b""
    session: str = ""

    def __post_init__(self) -> None:
        self.consumer = load_consumer(self.home.path)
        self._wallet = WalletAccount(self.home, self.operator)

    @property
    def provider_address(self) -> bytes:
        """The account that is paid: the node's wallet."""
        return self._wallet.keys.wallet

    def deploy(self) -> None:
        """The provider publishes the contract with its tariff."""
        code = load_library_contract("settlement")
        args = encode_value(
            {
                "provider": self.provider_address,
                "device": self._device_id(),
                "quantity": QUANTITY,
                "unit": "kWh",
                "tariff": TARIFF,
                "gap_max_ms": GAP_MAX_MS,
                "clocks": ["simulated"],
            }
        )
        body = DeployContract(code.source, code.manifest, args, CONTRACT_CALL_GAS_MAX)
        transaction_id, sender, nonce = self._wallet.send(body)
        self._check(transaction_id)  # the first block comes once a quorum has started
        self.contract = contract_address(sender, nonce)

    def open(self) -> None:
        """The consumer opens a session with a deposit; the gateway is told to feed it."""
        self.session = f"day-{secrets.token_hex(3)}"
        self._check(self.consumer.send(self.operator, self._call("open", {}, DEPOSIT)))
        bind_session(self.home, METER, format_address(self.contract), self.session, RECORD_EVERY_MS)

    def settle(self) -> None:
        """The provider settles: the contract pays, and returns the rest of the deposit."""
        transaction_id, _, _ = self._wallet.send(self._call("settle", {}, 0))
        self._check(transaction_id)

    def resume(self) -> None:
        """After a pause, go on from the newest anchored reading; what lies between is not billed."""
        proof = make_proof(self.home, METER)
        args: Table = {"session": self.session, "proof": proof}
        transaction_id, _, _ = self._wallet.send(self._call("resume", args, 0))
        self._check(transaction_id)

    def state(self) -> Table:
        """Return the session as the contract tells it."""
        return self._query("session")

    def bill(self) -> Table:
        """Return the bill as the contract computed it."""
        return self._query("bill")

    def last_sequence(self) -> int:
        """Return the sequence of the newest reading that was billed."""
        sequence = self.state()["sequence"]
        assert isinstance(sequence, int)
        return sequence

    def balance(self, address: bytes) -> int:
        """Return an account's base units."""
        return self.operator.ask("account", {"address": address.hex()}, AccountReply).balance

    def _check(self, transaction_id: str) -> None:
        check_applied(transaction_id, self.operator.wait_final(transaction_id, PATIENCE_S))

    def _call(self, method: str, args: Table, deposit: int) -> CallContract:
        encoded = encode_value({"session": self.session, **args})
        return CallContract(self.contract, method, encoded, deposit, CONTRACT_CALL_GAS_MAX)

    def _query(self, method: str) -> Table:
        body = {
            "contract": self.contract.hex(),
            "method": method,
            "args": encode_value({"session": self.session}).hex(),
        }
        reply = self.operator.ask("query", body, QueryReply)
        if not reply.ok:
            raise GatewayError(f"the contract did not answer {method}: {reply.refusal}")
        value = decode_value(bytes.fromhex(reply.result))
        assert isinstance(value, dict), "the contract's answers are tables"
        return value

    def _device_id(self) -> bytes:
        reader = ReadingsReader.open(self.home.readings)
        try:
            return next(one.device_id for one in reader.devices() if one.name == METER)
        finally:
            reader.close()
