"""The chain followed into PostgreSQL, for explorers and analytics: nothing of the ledger depends on it."""
