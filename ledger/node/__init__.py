"""The ledger's shell: the one place where consensus, state, mempool and storage meet."""
