"""The ledger process of a light node: headers, certificates and proofs that full peers give; nothing is executed."""
