"""How much may wait, and the reasons."""

from ledger.params import BLOCK_BYTES_MAX

COUNT_MAX = 10_000  # five full blocks: what waits longer than that should offer more
BYTES_MAX = 16 * BLOCK_BYTES_MAX  # 4 MiB: large transactions must not hold a small gateway's memory
SENDER_NONCES_MAX = (
    64  # a sender's nonces ahead of the state: enough for a burst, one sender's share
)
REPLACEMENT_TENTHS_MIN = 11  # a replacement offers 11/10 of the old fee: each costs the sender more
# Accusations have room of their own. CometBFT gives evidence a twentieth of a block by default (1 MiB of
# 21 MiB); ours are small: 35 agents, as many as a fork takes, are accused in 16 KiB, and what their
# reporters have waiting before takes as much again.
ACCUSATIONS_MAX = 99  # one an agent, as many as there are seats
ACCUSATIONS_BLOCK_BYTES_MAX = BLOCK_BYTES_MAX // 8
