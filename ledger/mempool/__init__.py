"""Transactions that wait for a block: bounded, ordered, and each backed by its payer's funds."""
