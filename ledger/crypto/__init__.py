"""Hashes, Ed25519 with one strict verdict, and the domain prefix of every signature."""
