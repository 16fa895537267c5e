"""How close signatures through the SmartAgent's socket come to bare PyNaCl, and how long a vote takes.

    python -m tests.benchmarks.bench_agent [--folder DIR]

Throughput: the same anchor transactions, signed by bare PyNaCl in this process, by the agent in batches of 256
(`SignMany`), and by the agent one at a time; all three in turn, round by round. The agent decodes each
transaction, checks it against its policy, signs it and appends it to its audit log.
Latency: votes one at a time, each durable twice (guard record, audit log) before it leaves; beside it two bare
appends with `fdatasync` of the same sizes to the same disk, in turn with the votes.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from nacl.signing import SigningKey

from gateway.smart_agent.client import AgentClient
from gateway.smart_agent.keys import AgentKeys, Purpose
from gateway.smart_agent.messages import SIGN_MANY_MAX, SignTransaction
from gateway.smart_agent.provision import create_agent
from gateway.smart_agent.sealed_key import KdfLimits
from gateway.smart_agent.unlock import find_unlock
from ledger.codec import canonical
from ledger.crypto.domains import VoteKind, transaction_message
from ledger.types.transaction import Anchor, Transaction
from tests.support.agent_process import running_agent

ROUNDS = 7
BATCHES = 16  # a round
SINGLES = 512
VOTES = 1_000
VOTE_INTERVAL_S = 0.008  # below the limit of 180 a second of the fastest chain
CHAIN, H = b"i" * 32, b"h" * 32
GUARD_BYTES, ENTRY_BYTES = 512, 130


def make_requests(keys: AgentKeys, count: int) -> list[SignTransaction]:
    sender = keys.metering
    return [
        SignTransaction(
            Purpose.METERING,
            canonical.encode(
                Transaction(
                    CHAIN, sender, nonce, sender, 2_000, 100_000, Anchor(H, H, nonce, 1, 0, 0, H, H)
                )
            ),
        )
        for nonce in range(1, count + 1)
    ]


def rate_of(work: Callable[[], object], count: int) -> float:
    start = time.perf_counter()
    work()
    return count / (time.perf_counter() - start)


def measure_throughput(client: AgentClient, keys: AgentKeys) -> None:
    requests = make_requests(keys, BATCHES * SIGN_MANY_MAX)
    messages = [transaction_message(request.payload) for request in requests]
    key = SigningKey.generate()
    starts = range(0, len(requests), SIGN_MANY_MAX)
    rates: dict[str, list[float]] = {"bare": [], "batches": [], "singles": []}
    for _ in range(ROUNDS):
        rates["bare"].append(
            rate_of(lambda: [key.sign(message) for message in messages], len(messages))
        )
        rates["batches"].append(
            rate_of(
                lambda: [client.sign_many(requests[at : at + SIGN_MANY_MAX]) for at in starts],
                len(requests),
            )
        )
        rates["singles"].append(
            rate_of(
                lambda: [
                    client.sign_transaction("metering", request.payload)
                    for request in requests[:SINGLES]
                ],
                SINGLES,
            )
        )
    bare = statistics.median(rates["bare"])
    for name, label in (
        ("bare", "bare PyNaCl"),
        ("batches", f"agent, {SIGN_MANY_MAX} at once"),
        ("singles", "agent, one at a time"),
    ):
        rate = statistics.median(rates[name])
        print(f"{label:<24} {rate:9,.0f} signatures/s   ratio {rate / bare:.2f}")


def measure_votes(client: AgentClient, folder: Path) -> None:
    votes, bare = [], []
    descriptor = os.open(folder / "bare", os.O_RDWR | os.O_CREAT)
    for number in range(VOTES):
        start = time.perf_counter()
        client.sign_vote((VoteKind.NOTARIZE, VoteKind.FINALIZE)[number % 2], 0, 1 + number // 2, H)
        middle = time.perf_counter()
        os.pwrite(descriptor, bytes(GUARD_BYTES), number % 2 * GUARD_BYTES)
        os.fdatasync(descriptor)
        os.pwrite(descriptor, bytes(ENTRY_BYTES), 2 * GUARD_BYTES + number * ENTRY_BYTES)
        os.fdatasync(descriptor)
        votes.append(middle - start)
        bare.append(time.perf_counter() - middle)
        time.sleep(VOTE_INTERVAL_S)
    os.close(descriptor)
    for label, times in (("a vote, durable", votes), ("two bare synced writes", bare)):
        print(f"{label:<24} {percentiles(times)}")


def percentiles(seconds: Sequence[float]) -> str:
    cuts = statistics.quantiles(seconds, n=100)
    return f"p50 {cuts[49] * 1e3:.2f} ms   p99 {cuts[98] * 1e3:.2f} ms   max {max(seconds) * 1e3:.2f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(description="the SmartAgent beside bare PyNaCl")
    parser.add_argument("--folder", type=Path, help="on the disk to measure (default: temporary)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        home = Path(name)
        create_agent(home / "agent", find_unlock(home / "agent"), KdfLimits(1, 8192))
        with running_agent(home, home / "log") as agent:
            keys = agent.client.bind(CHAIN, slot_ms=100)
            agent.client.report_tip(is_at_tip=True, agents=1)
            measure_throughput(agent.client, keys)
            measure_votes(agent.client, home)


if __name__ == "__main__":
    main()
