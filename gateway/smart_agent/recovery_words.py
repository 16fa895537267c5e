"""Recovery words (BIP-39, English): 24 words are the wallet's 32-byte seed and a checksum, nothing else.

The words stand for the seed itself, without a passphrase: the key they give back is the key they came from.
The one module that imports `mnemonic`.
"""

from mnemonic import Mnemonic

from gateway.errors import AgentError

WORD_COUNT = 24
_SEED_BYTES = 32


def words_of(seed: bytes) -> str:
    """Return the 24 words of a 32-byte seed, one space between two."""
    assert len(seed) == _SEED_BYTES
    return Mnemonic("english").to_mnemonic(seed)


def seed_of(text: str) -> bytes:
    """Return the seed of 24 words in any case and spacing; raise `AgentError` without repeating them."""
    words = text.lower().split()
    if len(words) != WORD_COUNT:
        raise AgentError(f"{len(words)} words: a wallet has {WORD_COUNT}")
    codec = Mnemonic("english")
    unknown = [number for number, word in enumerate(words, 1) if word not in codec.wordlist]
    if unknown:
        raise AgentError(f"word {unknown[0]} is not in the BIP-39 list: look at it again")
    if not codec.check(" ".join(words)):
        raise AgentError("the words do not fit each other: one is wrong, or two are swapped")
    return bytes(codec.to_entropy(words))
