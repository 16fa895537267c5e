"""LiteSVM (Solana's runtime in memory, from `solders`): signed transfers per second.

python svm.py BLOCKS SIZE
"""

import statistics
import sys
import time

from solders.keypair import Keypair
from solders.litesvm import LiteSVM
from solders.message import Message
from solders.system_program import TransferParams, transfer
from solders.transaction import Transaction

PEOPLE = 100


def main() -> None:
    blocks, size = int(sys.argv[1]), int(sys.argv[2])
    machine = LiteSVM()
    people = [Keypair() for _ in range(PEOPLE)]
    for person in people:
        machine.airdrop(person.pubkey(), 10**12)
    rates = []
    for block in range(blocks + 1):
        blockhash = machine.latest_blockhash()
        signed = []
        for number in range(size):
            sender, to = people[number % PEOPLE], people[(number * 7 + 1) % PEOPLE]
            lamports = 1_000 + block * size + number  # no two alike
            parameters = TransferParams(
                from_pubkey=sender.pubkey(), to_pubkey=to.pubkey(), lamports=lamports
            )
            message = Message.new_with_blockhash([transfer(parameters)], sender.pubkey(), blockhash)
            signed.append(Transaction([sender], message, blockhash))
        start = time.perf_counter()
        for transaction in signed:
            result = machine.send_transaction(transaction)
            assert "Failed" not in type(result).__name__, result
        if block:
            rates.append(size / (time.perf_counter() - start))
        machine.expire_blockhash()
    print(round(statistics.median(rates)))


if __name__ == "__main__":
    main()
