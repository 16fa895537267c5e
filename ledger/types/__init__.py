"""The values of the ledger: frozen structs whose canonical encoding is what is hashed and signed."""
