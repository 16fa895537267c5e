"""The other end of the agent's socket, for the gateway, the ledger and the command line.

Every request may be asked twice with the same outcome, so a connection that the agent closed while
it was idle is opened again once.
"""

import socket
import threading
from collections.abc import Sequence
from pathlib import Path

from gateway.errors import AgentError, VoteConflictError
from gateway.smart_agent.endpoint import connect
from gateway.smart_agent.identity_messages import (
    AskInstance,
    AskProofs,
    LeaseStanding,
    Proofs,
    ReportLease,
    RunningInstance,
    SignSession,
)
from gateway.smart_agent.keys import AgentKeys, Purpose
from gateway.smart_agent.messages import (
    HEADER_BYTES,
    Answer,
    AskAuditHead,
    AuditHead,
    Bind,
    Describe,
    Noted,
    OnionCommitment,
    OnionReveal,
    OnionValue,
    Refused,
    RefusedReason,
    ReportOwnVote,
    ReportTip,
    Request,
    Response,
    Signed,
    SignedMany,
    SignMany,
    SignQuote,
    SignReadingBatch,
    SignTransaction,
    SignVote,
    SignVoucher,
    decode_frame_length,
    decode_response,
    encode_frame,
)
from gateway.smart_agent.spending.rules import SpendingPolicy
from gateway.smart_agent.spending_messages import (
    ApprovePayment,
    AskSpending,
    ChangeSpending,
    Spending,
)
from ledger.crypto.domains import VoteKind
from ledger.crypto.hashing import sha256
from ledger.errors import SignerError, VoteRefusedError
from ledger.params import SLOT_MS
from ledger.types.block import Vote


class AgentClient:
    """Blocking and safe for several threads: one request is under way at a time."""

    def __init__(self, socket_path: Path, timeout_s: float = 5.0) -> None:
        self._path = socket_path
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._connection: socket.socket | None = None

    def describe(self) -> AgentKeys:
        """Return the public keys and, once bound, the chain id; raises `AgentError`."""
        return self._ask_keys(Describe())

    def bind(self, chain_id: bytes, slot_ms: int = SLOT_MS) -> AgentKeys:
        """Bind the agent to its one chain (32 bytes); raises `AgentError` when it has another."""
        return self._ask_keys(Bind(chain_id, slot_ms))

    def sign_transaction(self, purpose: str, payload: bytes) -> bytes:
        """Return the key's 64-byte signature over a transaction's canonical payload."""
        return self._ask_signature(SignTransaction(Purpose(purpose), payload))

    def sign_vote(self, kind: VoteKind, epoch: int, slot: int, block_hash: bytes) -> bytes:
        """Return a vote's 64-byte signature, durable in the guard; raises `AgentError`."""
        return self._ask_signature(SignVote(kind, epoch, slot, block_hash))

    def sign_many(self, requests: Sequence[SignTransaction | SignReadingBatch]) -> list[bytes]:
        """Return a signature for each of up to `SIGN_MANY_MAX` requests; all or none is given."""
        response = self.ask(SignMany(tuple(requests)))
        if not isinstance(response, SignedMany) or len(response.signatures) != len(requests):
            raise self._unexpected()
        return list(response.signatures)

    def sign_reading_batch(self, payload: bytes) -> bytes:
        """Return the metering key's signature over a canonical `ReadingBatch`."""
        return self._ask_signature(SignReadingBatch(payload))

    def sign_quote(self, payload: bytes) -> bytes:
        """Return the wallet key's signature over a canonical `Quote`."""
        return self._ask_signature(SignQuote(payload))

    def sign_voucher(self, payload: bytes) -> bytes:
        """Return the wallet key's signature over a canonical `Voucher`."""
        return self._ask_signature(SignVoucher(payload))

    def sign_session(self, token: bytes) -> bytes:
        """Return the node key's signature over a canonical `SessionToken` (the handshake of nodes)."""
        return self._ask_signature(SignSession(token))

    def prove_possession(self) -> Proofs:
        """Return what lets this node register the agent's keys; raises `AgentError`."""
        response = self.ask(AskProofs())
        if not isinstance(response, Proofs):
            raise self._unexpected()
        return response

    def running_instance(self) -> RunningInstance:
        """Return which running instance of the identity the agent is; raises `AgentError`."""
        return self._ask_instance(AskInstance())

    def report_lease(self, standing: LeaseStanding, detail: str) -> RunningInstance:
        """Tell what the chain says of the agent's instance; raises `AgentError`."""
        return self._ask_instance(ReportLease(standing, detail))

    def _ask_instance(self, request: Request) -> RunningInstance:
        response = self.ask(request)
        if not isinstance(response, RunningInstance):
            raise self._unexpected()
        return response

    def spending(self) -> Spending:
        """Return the wallet's policy and what left it lately; raises `AgentError`."""
        return self._ask_spending(AskSpending())

    def change_spending(self, passphrase: bytes, policy: SpendingPolicy) -> Spending:
        """Put another policy in force with the owner's passphrase; raises `AgentError`."""
        return self._ask_spending(ChangeSpending(passphrase, policy))

    def approve_payment(self, passphrase: bytes, payment: bytes) -> Spending:
        """Approve the payment whose payload has this SHA-256; raises `AgentError`."""
        return self._ask_spending(ApprovePayment(passphrase, payment))

    def _ask_spending(self, request: Request) -> Spending:
        response = self.ask(request)
        if not isinstance(response, Spending):
            raise self._unexpected()
        return response

    def report_tip(self, *, is_at_tip: bool, agents: int) -> str:
        """Tell how far the ledger is; return "voting", or why the agent signs no votes."""
        return self._ask_noted(ReportTip(is_at_tip, agents))

    def report_own_vote(self, vote: Vote) -> str:
        """Hand in a vote by our own key that came from a peer; return "voting", or why not."""
        return self._ask_noted(
            ReportOwnVote(vote.kind, vote.epoch, vote.slot, vote.block_hash, vote.signature)
        )

    def onion_commitment(self, generation: int = 1) -> bytes:
        """Return the commitment of this node's onion of that number; the first takes a second."""
        return self._ask_onion(OnionCommitment(generation))

    def reveal_onion(self, around: bytes) -> bytes:
        """Return the 32 bytes whose SHA-256 is `around`, the value that the chain accepted last."""
        return self._ask_onion(OnionReveal(around))

    def audit_head(self) -> AuditHead:
        """Return the audit log's newest entry, which is durable; raises `AgentError`."""
        response = self.ask(AskAuditHead())
        if not isinstance(response, AuditHead):
            raise self._unexpected()
        return response

    def close(self) -> None:
        """Close the connection; a later request opens another."""
        with self._lock:
            self._drop()

    def _ask_keys(self, request: Request) -> AgentKeys:
        response = self.ask(request)
        if not isinstance(response, AgentKeys):
            raise self._unexpected()
        return response

    def _ask_signature(self, request: Request) -> bytes:
        response = self.ask(request)
        if not isinstance(response, Signed):
            raise self._unexpected()
        return response.signature

    def _ask_noted(self, request: Request) -> str:
        response = self.ask(request)
        if not isinstance(response, Noted):
            raise self._unexpected()
        return response.votes

    def _ask_onion(self, request: Request) -> bytes:
        response = self.ask(request)
        if not isinstance(response, OnionValue):
            raise self._unexpected()
        return response.value

    def _unexpected(self) -> AgentError:
        return AgentError(f"SmartAgent at {self._path} gave an answer of another kind: update it")

    def ask(self, request: Request) -> Answer:
        """Return the answer to any request that is not a refusal; raises `AgentError`."""
        with self._lock:
            response = self._exchange(encode_frame(request))
        if isinstance(response, Refused):
            kind = VoteConflictError if response.reason is RefusedReason.SIGN_GUARD else AgentError
            raise kind(f"SmartAgent refused: {response}")
        return response

    def _exchange(self, frame: bytes) -> Response:
        try:
            return self._exchange_over_new_or_open(frame)
        except (FileNotFoundError, ConnectionRefusedError):
            raise AgentError(self._not_running()) from None
        except PermissionError:
            raise AgentError(
                f"not allowed to use the SmartAgent at {self._path}: run as the user that owns it"
            ) from None
        except TimeoutError:
            raise AgentError(
                f"SmartAgent at {self._path} did not answer within {self._timeout_s:g} s"
            ) from None
        except OSError:
            raise AgentError(
                f"SmartAgent at {self._path} closed the connection: see its log"
            ) from None

    def _exchange_over_new_or_open(self, frame: bytes) -> Response:
        if self._connection is not None:
            try:
                return self._exchange_over(self._connection, frame)
            except ConnectionError:
                self._drop()
        self._connection = connect(self._path, self._timeout_s)
        return self._exchange_over(self._connection, frame)

    def _exchange_over(self, connection: socket.socket, frame: bytes) -> Response:
        try:
            connection.sendall(frame)
            length = decode_frame_length(_receive(connection, HEADER_BYTES))
            response = None if length is None else decode_response(_receive(connection, length))
        except OSError:
            self._drop()  # after a half-read answer the next one would be taken for this one
            raise
        if response is None:
            self._drop()
            raise AgentError(f"SmartAgent at {self._path} gave an answer that is none: update it")
        return response

    def _not_running(self) -> str:
        home = self._path.parent.parent
        return (
            f"SmartAgent is not running at {self._path}:"
            f" start it with `smartshare agent --home {home}`"
        )

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class AgentVoteSigner:
    """`ledger.ports.VoteSigner`: the consensus key behind the sign guard."""

    def __init__(self, client: AgentClient) -> None:
        self._client = client
        self._public_key: bytes | None = None

    @property
    def public_key(self) -> bytes:
        """The consensus public key, 32 bytes; raises `SignerError`."""
        if self._public_key is None:
            try:
                self._public_key = self._client.describe().consensus
            except AgentError as error:
                raise SignerError(str(error)) from None
        return self._public_key

    def sign_vote(self, kind: VoteKind, epoch: int, slot: int, block_hash: bytes) -> bytes:
        """Return a 64-byte signature that is durable in the guard.

        Raises `VoteRefusedError` where the guard refuses for good, `SignerError` otherwise.
        """
        try:
            return self._client.sign_vote(kind, epoch, slot, block_hash)
        except VoteConflictError as error:
            raise VoteRefusedError(str(error)) from None
        except AgentError as error:
            raise SignerError(str(error)) from None


class AgentOnionKeeper:
    """`ledger.ports.OnionKeeper`: the SmartAgent opens this node's onion, one layer a block."""

    def __init__(self, client: AgentClient) -> None:
        self._client = client

    def reveal(self, commitment: bytes) -> bytes:
        """Return the 32 bytes whose SHA-256 is `commitment`; raises `SignerError`."""
        try:
            reveal = self._client.reveal_onion(commitment)
        except AgentError as error:
            raise SignerError(str(error)) from None
        if sha256(reveal) != commitment:
            raise SignerError(
                "the SmartAgent opens another onion than the chain's: commit to a new one"
            )
        return reveal


def _receive(connection: socket.socket, count: int) -> bytes:
    """Read exactly `count` bytes; raise `ConnectionResetError` at an early end."""
    data = bytearray()
    while len(data) < count:
        chunk = connection.recv(count - len(data))
        if not chunk:
            raise ConnectionResetError
        data += chunk
    return bytes(data)
