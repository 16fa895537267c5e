"""A hostile process of the right user sends broken requests by the thousand.

`SMARTSHARE_FUZZ_FRAMES` sets how many (default 20,000). Every seed is a request that is refused in its whole
form, so any signature in an answer is a finding.
"""

import os
import random
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.metering.ecdsa import Curve
from gateway.smart_agent.identity_messages import LeaseStanding, Proofs, ReportLease, SignSession
from gateway.smart_agent.judge import EPOCH_MAX, SLOT_MAX
from gateway.smart_agent.keys import Purpose
from gateway.smart_agent.messages import (
    FRAME_BYTES_MAX,
    HEADER_BYTES,
    Bind,
    Describe,
    OnionReveal,
    Refused,
    ReportOwnVote,
    ReportTip,
    Request,
    Signed,
    SignedMany,
    SignMany,
    SignQuote,
    SignReadingBatch,
    SignTransaction,
    SignVote,
    SignVoucher,
    decode_response,
    encode_frame,
)
from gateway.smart_agent.metering_messages import (
    AskPage,
    OcmfSigned,
    SignMeasurement,
    SignOcmf,
)
from gateway.smart_agent.sealed_key import open_sealed_key
from gateway.smart_agent.spending_messages import ApprovePayment, AskSpending
from gateway.smart_agent.unlock import find_unlock, load_unlock
from ledger.codec import canonical
from ledger.crypto.domains import NO_HASH, VoteKind
from ledger.identity.grant import Role
from ledger.identity.session_token import SessionToken, Side
from ledger.types.metering import SignedRecord
from ledger.types.offers import Quote, ReadingBatch, Voucher
from ledger.types.transaction import RegisterDevice, Transaction, Transfer
from tests.support.agent_process import AGENT
from tests.support.metering import make_record

pytestmark = [pytest.mark.integration, pytest.mark.slow]

FRAMES = int(os.environ.get("SMARTSHARE_FUZZ_FRAMES", "20000"))
CHAIN, OTHER, A, B = b"i" * 32, b"j" * 32, b"a" * 32, b"b" * 32


def seeds_for(keys):
    """One of each request that could lead to a signature: for another chain, or before the guard's record."""
    metering, wallet = keys.metering, keys.wallet
    payment = canonical.encode(Transaction(OTHER, wallet, 0, wallet, 1000, 9, Transfer(A, 5)))
    device = canonical.encode(
        Transaction(OTHER, metering, 0, metering, 1000, 9, RegisterDevice(A, B))
    )
    batch = canonical.encode(ReadingBatch(OTHER, metering, A, B, 1, 5, 0, 9, A))
    token = SessionToken(OTHER, Side.INITIATOR, keys.node, Role.AGENT, A, B, Role.AGENT, B, A, A, B)
    signed_record = SignedRecord(canonical.encode(make_record(signer=metering)), bytes(64))
    requests: list[Request] = [
        Describe(),
        Bind(OTHER),
        SignTransaction(Purpose.WALLET, payment),
        SignTransaction(Purpose.METERING, device),
        SignReadingBatch(batch),
        SignQuote(canonical.encode(Quote(OTHER, wallet, "energy", 5, "kWh", 9, A))),
        SignVoucher(canonical.encode(Voucher(OTHER, wallet, A, B, 5, 1, 9))),
        SignMany((SignTransaction(Purpose.METERING, device), SignReadingBatch(batch))),
        SignVote(VoteKind.NOTARIZE, EPOCH_MAX, SLOT_MAX, B),
        SignVote(VoteKind.NULLIFY, EPOCH_MAX, SLOT_MAX, NO_HASH),
        SignVote(VoteKind.FINALIZE, 0, 1, A),
        ReportTip(is_at_tip=True, agents=4),
        ReportOwnVote(VoteKind.NOTARIZE, EPOCH_MAX, SLOT_MAX, B, bytes(64)),
        OnionReveal(B),
        SignSession(canonical.encode(token)),
        SignMeasurement(canonical.encode(make_record(chain_id=OTHER, signer=metering))),
        SignOcmf(Curve.SECP256R1, (canonical.encode(signed_record),)),
        AskPage(A),
        ReportLease(LeaseStanding.HELD, ""),
        AskSpending(),
        ApprovePayment(b"no such passphrase", A),
    ]
    return [encode_frame(request)[HEADER_BYTES:] for request in requests]


def broken(chance, seeds):
    """A seed with bits flipped, cut, spliced or repeated; or no request at all."""
    body = bytearray(chance.choice(seeds))
    fate, other = chance.randrange(6), chance.choice(seeds)
    if fate == 0:
        return chance.randbytes(chance.randrange(80))
    if fate == 1:
        del body[chance.randrange(len(body)) :]
    elif fate == 2:
        body += other[chance.randrange(4) :]
    elif fate == 3:
        body[chance.randrange(len(body)) :] = other[chance.randrange(len(other)) :]
    for _ in range(chance.randrange(4)):
        if body:
            body[chance.randrange(len(body))] = chance.randrange(256)
    return bytes(body)


class Attacker:
    """A raw connection; every whole answer is decoded and counted."""

    def __init__(self, socket_path):
        self._path = str(socket_path)
        self._connection: socket.socket | None = None
        self.answers = 0
        self.refused = 0

    def send(self, body, length):
        """Send a frame that says it is `length` long, and read its answer where one is due."""
        try:
            if self._connection is None:
                self._connection = socket.socket(socket.AF_UNIX)
                self._connection.settimeout(30)
                self._connection.connect(self._path)
            self._connection.sendall(length.to_bytes(HEADER_BYTES, "big") + body)
            if length <= len(body) or length > FRAME_BYTES_MAX:
                self._take(self._read(HEADER_BYTES))
            if length != len(body):
                self.close()
        except ConnectionError:
            self.close()

    def close(self):
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _take(self, header):
        answer = decode_response(self._read(int.from_bytes(header, "big")))
        assert answer is not None, "every answer is one of ours"
        assert not isinstance(answer, Signed | SignedMany | OcmfSigned | Proofs), "no signature"
        self.answers += 1
        self.refused += isinstance(answer, Refused)

    def _read(self, count):
        assert self._connection
        data = b""
        while len(data) < count:
            chunk = self._connection.recv(count - len(data))
            if not chunk:
                raise ConnectionResetError
            data += chunk
        return data


@pytest.mark.timeout(1800)
def test_no_broken_request_crashes_it_or_gets_a_signature(home, agent):
    chance = random.Random(FRAMES)
    keys = agent.client.bind(CHAIN)
    agent.client.report_tip(is_at_tip=True, agents=1)
    agent.client.sign_vote(VoteKind.NOTARIZE, EPOCH_MAX, SLOT_MAX, A)
    agent.client.sign_vote(VoteKind.FINALIZE, EPOCH_MAX, SLOT_MAX, A)
    head = agent.client.audit_head()
    seeds = seeds_for(keys)

    attacker = Attacker(agent.socket_path)
    for _ in range(FRAMES):
        body = broken(chance, seeds)
        length = len(body) if chance.random() < 0.95 else chance.randrange(2**32)
        attacker.send(body, length)
    attacker.close()

    assert agent.process.poll() is None
    assert attacker.answers > FRAMES // 2
    assert attacker.refused > FRAMES // 4
    assert agent.client.describe() == keys, "nothing changed the agent"
    assert resident_bytes(agent.process.pid) < 120 * 2**20
    assert agent.client.audit_head().sequence - head.sequence < FRAMES, "and refused votes alone"
    check_log(agent.log_path, home)


def check_log(log_path, home):
    unlock = load_unlock(find_unlock(home / "agent"))
    root_secret = open_sealed_key(home / "agent" / "sealed.key", unlock)
    secrets = [unlock, root_secret, root_secret.hex().encode(), repr(root_secret).encode()]
    reasons = 0
    with log_path.open("rb") as log:
        for line in log:
            assert not any(secret in line for secret in secrets)
            assert b"Traceback" not in line
            assert len(line) < 600
            reasons += line.startswith(b"refused ")
    assert reasons > FRAMES // 4, "each refusal has its reason in the log"


def resident_bytes(pid):
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


@pytest.mark.parametrize("number", [signal.SIGABRT, signal.SIGSEGV])
def test_a_crash_leaves_no_core_dump(home, tmp_path, number):
    """Even where the shell that started it allows dumps of any size."""

    argv = [sys.executable, "-c", AGENT, str(home / "agent"), str(home / "run" / "agent.sock")]
    shell = ["sh", "-c", 'ulimit -c "$(ulimit -H -c)"; exec "$@"', "sh", *argv]
    with subprocess.Popen(shell, stdout=subprocess.PIPE, cwd=tmp_path, text=True) as process:
        assert process.stdout
        assert process.stdout.readline().strip() == "ready"
        limits = Path(f"/proc/{process.pid}/limits").read_text()
        assert [line.split()[4:6] for line in limits.splitlines() if "core file" in line] == [
            ["0", "0"]
        ]
        process.send_signal(number)
        _, status = os.waitpid(process.pid, 0)
        process.returncode = -number

    assert os.WTERMSIG(status) == number
    assert not os.WCOREDUMP(status)
    assert not list(tmp_path.glob("core*"))
