"""Commands and demonstrations as the operator of a running node: typed requests and transactions."""

import secrets
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

import msgspec

from gateway.app.transactions import build_payload, wrap
from gateway.clock import Clock, SystemClock
from gateway.errors import GatewayError, MessagingError
from gateway.messaging.client import RpcClient, Service
from gateway.messaging.service_login import OPERATOR, service_login
from gateway.model.ledger_api import AccountReply, StatusReply, SubmitReply, TransactionReply
from gateway.settings import Home, load_settings
from ledger.crypto import domains
from ledger.types.transaction import Body

EXPIRY_HEIGHTS = 200  # ten minutes of 3 s blocks: a person is waiting
ANSWER_TIMEOUT_S = 10.0
FINAL_TIMEOUT_S = 60.0  # several blocks, also on a slow machine
POLL_INTERVAL_S = 0.2
T = TypeVar("T")


class Operator:
    """A connection to a running node, as a context manager."""

    def __init__(
        self,
        home: Home,
        client_id: str | None = None,
        answer_timeout_s: float = ANSWER_TIMEOUT_S,
    ) -> None:
        self._answer_timeout_s = answer_timeout_s
        # A client id of its own: the broker lets the newest of two that share one displace the other.
        client_id = client_id or f"command-{secrets.token_hex(6)}"
        login = service_login(home, load_settings(home), OPERATOR, client_id)
        self.gateway = login.gateway
        self._client = RpcClient(login)

    def __enter__(self) -> Self:
        self._client.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.__exit__(kind, error, trace)

    def ask(self, verb: str, body: Mapping[str, Any], reply: type[T]) -> T:
        """Return the ledger's answer; raises `MessagingError` with one line."""
        return self._ask("ledger", verb, body, reply)

    def ask_gateway(self, verb: str, body: Mapping[str, Any], reply: type[T]) -> T:
        """Return the gateway's answer; raises `MessagingError` with one line."""
        return self._ask("bridge", verb, body, reply)

    def _ask(self, service: Service, verb: str, body: Mapping[str, Any], reply: type[T]) -> T:
        answer = self._client.call(service, verb, dict(body), self._answer_timeout_s)
        try:
            return msgspec.convert(answer, reply)
        except msgspec.ValidationError as error:
            raise MessagingError(f"the answer to {service}/{verb} is malformed: {error}") from None

    def submit(self, raw: bytes) -> str:
        """Hand in a signed transaction; return its id in hexadecimal."""
        return self.ask("submit", {"raw": raw.hex()}, SubmitReply).id

    def wait_final(
        self, transaction_id: str, timeout_s: float = FINAL_TIMEOUT_S
    ) -> TransactionReply:
        """Return a transaction's outcome once it is final; raises `MessagingError` if it is not."""
        clock: Clock = SystemClock()
        deadline_ns = clock.monotonic_ns() + int(timeout_s * 1_000_000_000)
        while True:
            try:
                reply = self.ask("transaction", {"id": transaction_id}, TransactionReply)
            except MessagingError as error:
                standing = str(error)  # a process may be starting anew; the transaction is safe
            else:
                if reply.status == "final":
                    return reply
                standing = reply.status
            if clock.monotonic_ns() > deadline_ns:
                raise MessagingError(
                    f"transaction {transaction_id} is not final after {timeout_s:g} s ({standing}); "
                    f"look again with `smartshare chain tx {transaction_id}`"
                )
            time.sleep(POLL_INTERVAL_S)


def send_body(
    operator: Operator, sender: bytes, body: Body, sign: Callable[[bytes], bytes]
) -> tuple[str, int]:
    """Sign with `sender`'s key and submit; return the transaction's id and the nonce it used."""
    account = operator.ask("account", {"address": sender.hex()}, AccountReply)
    status = operator.ask("status", {}, StatusReply)
    payload = build_payload(
        bytes.fromhex(status.chain_id),
        sender,
        account.pending_nonce,
        status.height + EXPIRY_HEIGHTS,
        body,
    )
    transaction_id = domains.transaction_id(payload).hex()
    raw = wrap(payload, sign(payload))
    try:
        operator.submit(raw)
    except MessagingError as error:
        if not isinstance(error.__cause__, TimeoutError):
            raise
        # Sent, and no answer: sending another one might pay twice.
        raise MessagingError(
            f"{error} It may have been taken all the same: before you try again, look with "
            f"`smartshare chain tx {transaction_id}`"
        ) from None
    return transaction_id, account.pending_nonce


def check_applied(transaction_id: str, reply: TransactionReply) -> None:
    """Raise `GatewayError` with the reason when a final transaction failed."""
    if not reply.applied:
        raise GatewayError(f"transaction {transaction_id} failed: {reply.reason}")
