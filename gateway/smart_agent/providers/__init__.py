"""Where private keys may lie: one file for each scheme of a key's URI."""
