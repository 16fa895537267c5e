"""The ledger process: a chain node that answers requests over the gateway's broker."""
