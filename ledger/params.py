"""Protocol constants: each one a name, a unit and the reason for its value.

A change to any of these is a change of the chain's rules: nodes that differ in one fork.
"""

PROTOCOL_VERSION = 2

HASH_BYTES = 32  # SHA-256
PUBLIC_KEY_BYTES = 32  # Ed25519, RFC 8032
SIGNATURE_BYTES = 64

SSP_DECIMALS = 8
SSP_BASE_UNITS = 10**SSP_DECIMALS  # 1 SSP
# One bit below u64: the same integer fits a Lua integer and a SQLite INTEGER, so no layer wraps.
AMOUNT_MAX = 2**63 - 1

AGENTS_MAX = 99  # white paper II.3: "the first 99 agents"
SIGNER_BITMAP_BYTES = 13  # ceil(99 / 8)
HEADER_BYTES_MAX = 1_024  # a header's canonical bytes are about 330
PROOF_HEADERS_MAX = 128  # blocks between a final block and the certificate that proves it

SLOT_MS = 3_000  # a genesis may shorten it for a lab network
HEARTBEAT_MS = 30_000  # longest wait for a block when there is no work: spares SD cards

TRANSACTION_BYTES_MAX = (
    120 * 1024
)  # a contract's code; as hexadecimal text in one message of 256 KiB
BLOCK_BYTES_MAX = 256 * 1024  # one block fits one MQTT packet
BLOCK_TRANSACTIONS_MAX = 2_000
EXPIRY_HEIGHTS_MAX = 100_000  # about 3.5 days of 3 s blocks: bounds the mempool's memory

TRANSACTION_FEE_MIN = 1_000  # base units: 0.00001 SSP, so that flooding costs something
TRANSACTION_FEE_PER_BYTE = 1
GAS_PER_FEE_UNIT = 100  # instructions bought by one base unit
CONTRACT_CALL_GAS_MAX = 5_000_000
DEPLOY_CHECK_GAS = 1_000_000  # checking new code runs its main chunk within this limit
DEPLOY_CHECK_GAS_PER_CODE_BYTE = 4  # and compiles it
CONTRACT_QUERY_GAS_MAX = 50_000_000
CONTRACT_CODE_BYTES_MAX = 64 * 1024  # a parser meets hostile text: keep it short
CONTRACT_MANIFEST_BYTES_MAX = 16 * 1024
CONTRACT_STATE_CHANGE_BYTES_MAX = 200 * 1024
CONTRACT_EVENTS_MAX = 64
CONTRACT_ARGS_BYTES_MAX = 64 * 1024
CONTRACT_MEMORY_BYTES_MAX = 8 * 1024 * 1024
CONTRACT_KEY_BYTES_MAX = 128
CONTRACT_VALUE_BYTES_MAX = 64 * 1024
CONTRACT_EVENT_BYTES_MAX = 4 * 1024  # 64 events at most: as much as one block holds
CONTRACT_RESULT_BYTES_MAX = 16 * 1024  # of a call in a block; a query is bounded by its worker
CONTRACT_OUTPUT_BYTES_MAX = 64 * 1024  # result and events of a call: outcomes stay small replies
CONTRACT_VALUE_DEPTH_MAX = 16  # nesting of arguments: far below any decoder's own stack limit
BLOCK_GAS_MAX = 50_000_000  # sum of gas limits: no block costs a voter more than one query may
REASON_LENGTH_MAX = 200  # characters of a failed transaction's reason, which every node stores

ANCHOR_READINGS_MAX = 1_000
READING_BYTES_MAX = 8 * 1024
READING_QUANTITIES_MAX = 64
READING_SALT_BYTES = 16

COIN_SYMBOL_LENGTH_MAX = 12
COIN_NAME_LENGTH_MAX = 64
COIN_DECIMALS_MAX = 18

LEASE_MS = 15 * 60_000  # an instance that renews every five minutes may miss two of them
# Delegated proof of stake: what cannot be voted on. What can stands in `ledger.types.parameters`.
AGENT_CANDIDATES_MAX = 1_024  # bounds the work of an election; four times the ranks that can win
DRAW_RANK_LAST = 270  # drawn seats come from the ranks behind the elected ones up to here
VOTE_CHOICES_MAX = 30  # Telos: 30 choices
VOTE_AGE_WEEKS_MAX = 520  # after ten years a vote weighs less than 1/1024: it counts for nothing
ONION_LENGTH = 2**20  # reveals in one onion: 12 years of one block in 300 s
UNBONDING_ENTRIES_MAX = 32  # one for each day of 21, and spare ones
UNBONDING_MS_MIN = 21 * 86_400_000  # at least the age of evidence and the time of a ballot
PENALTY_HISTORY_MAX = 8  # penalties that an agent's record keeps for its readers
JAIL_DOUBLINGS_MAX = 7  # 2**7 hours: five days
OPEN_PROPOSALS_MAX = 16  # each is counted in an end block
PROPOSAL_CHANGES_MAX = 16
PROPOSAL_TITLE_LENGTH_MAX = 120
WEEK_MS = 7 * 86_400_000
DAY_MS = 86_400_000
HOUR_MS = 3_600_000
