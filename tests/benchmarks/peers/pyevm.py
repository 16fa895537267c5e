"""py-evm (Ethereum in Python, in memory, signatures by coincurve): signed transfers per second.

python pyevm.py BLOCKS SIZE
"""

import statistics
import sys
import time

from eth import constants
from eth.chains.base import MiningChain
from eth.consensus.noproof import NoProofConsensus
from eth.db.atomic import AtomicDB
from eth.vm.forks import LondonVM
from eth_keys import keys
from eth_typing import Address

PEOPLE = 20
GAS_LIMIT = 60_000_000


def main() -> None:
    blocks, size = int(sys.argv[1]), int(sys.argv[2])
    people = [keys.PrivateKey((number + 1).to_bytes(32, "big")) for number in range(PEOPLE)]
    addresses = [Address(person.public_key.to_canonical_address()) for person in people]
    machine = LondonVM.configure(consensus_class=NoProofConsensus)  # no work is proven
    chain_class = MiningChain.configure(
        __name__="BenchChain", vm_configuration=((constants.GENESIS_BLOCK_NUMBER, machine),)
    )
    account = {"balance": 10**24, "nonce": 0, "code": b"", "storage": {}}
    genesis = {
        "coinbase": constants.ZERO_ADDRESS,
        "difficulty": 1,
        "gas_limit": GAS_LIMIT,
        "timestamp": 1,
        "extra_data": b"",
        "nonce": constants.GENESIS_NONCE,
        "mix_hash": constants.ZERO_HASH32,
    }
    chain = chain_class.from_genesis(AtomicDB(), genesis, dict.fromkeys(addresses, account))
    nonces = [0] * PEOPLE
    rates = []
    for block in range(blocks + 1):
        signed = []
        for number in range(size):
            who = number % PEOPLE
            unsigned = chain.get_vm().create_unsigned_transaction(
                nonce=nonces[who],
                gas_price=10**12,
                gas=21_000,
                to=addresses[(who * 7 + 1) % PEOPLE],
                value=1,
                data=b"",
            )
            nonces[who] += 1
            signed.append(unsigned.as_signed_transaction(people[who]))
        start = time.perf_counter()
        chain.mine_all(signed)
        if block:
            rates.append(size / (time.perf_counter() - start))
    print(round(statistics.median(rates)))


if __name__ == "__main__":
    main()
