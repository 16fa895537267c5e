"""The rules of the ledger: what a valid transaction is and what it changes, as pure functions."""
