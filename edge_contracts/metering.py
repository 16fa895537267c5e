"""What contract execution costs: every constant of the gas table, and what it stands for.

One gas is about one Lua VM instruction. Whatever makes one instruction do more work than that
(copying text, walking a table, asking the host) is charged beside it, before or right after it
happens, so that gas bounds time. These numbers are rules of the chain: they enter `lvm_id`.
"""

INSTRUCTIONS_PER_TICK = 100  # how often the count hook fires; below it instructions cost nothing

CALL_BASE_GAS = 2_000  # a fresh Lua state and its fixed environment
SOURCE_BYTE_GAS = 1  # reading and compiling the contract
SOURCE_WORD_GAS = 100  # parsing and rewriting one: a node may have forgotten what it translated
MANIFEST_BYTE_GAS = 10  # parsing it, for the same reason
ARGS_BYTE_GAS = 1

HOST_GAS = 2_000  # any question to the chain: a round trip between two processes is slow everywhere
HOST_STORE_GAS = 1_000
HOST_PAY_GAS = 1_000
HOST_EMIT_GAS = 500
HOST_READING_GAS = 10_000  # decoding, up to 16 SHA-256 and two state look-ups
STORED_BYTE_GAS = 5  # every node keeps it
VALUE_BYTE_GAS = 1  # carried, encoded and checked
VALUE_NODE_GAS = 50  # one table entry converted between Lua and MessagePack

TEXT_BYTES_PER_GAS = 16  # copying or scanning text inside C
FIND_STEPS_PER_GAS = 64  # plain search compares |text| x |needle| bytes at worst
PAIRS_KEY_GAS = 20  # collecting and sorting one key
# Removing an entry lets the next insertion rebuild a full table, so it costs its size; `stored` is
# an upper bound that all nodes share: entries assigned so far in this call.
DELETE_ENTRIES_PER_GAS = 2
CONSTRUCTOR_ITEMS_MAX = 256  # a table constructor allocates for all its items in one instruction

STRING_BYTES_MAX = 16 * 1024  # comparing two strings is one instruction: keep it cheap
FORMAT_BYTES_MAX = 1_024
INTEGER_KEY_MAX = 65_536  # integer keys are not hashed with a seed: sparse ones can be made collide
UNPACK_MAX = 32
SOURCE_WORDS_MAX = 20_000  # more than 64 KiB of ordinary code has; calling it stays affordable
PCALL_DEPTH_MAX = 20  # of the some 60 that Lua's C stack has room for


def compute_entry_gas(source_bytes: int, manifest_bytes: int, args_bytes: int) -> int:
    """Return what a call costs at least, from sizes alone: who cannot pay it costs no work."""
    code = source_bytes * SOURCE_BYTE_GAS + manifest_bytes * MANIFEST_BYTE_GAS
    return CALL_BASE_GAS + code + args_bytes * ARGS_BYTE_GAS


def compute_value_gas(value: object, encoded_bytes: int) -> int:
    """Return what handing a decoded value to Lua costs."""
    return count_nodes(value) * VALUE_NODE_GAS + encoded_bytes * VALUE_BYTE_GAS


def count_nodes(value: object) -> int:
    """Return the number of table entries that a value becomes in Lua."""
    match value:
        case list():
            return len(value) + sum(count_nodes(item) for item in value)
        case dict():
            return len(value) + sum(count_nodes(item) for item in value.values())
        case _:
            return 0
