"""Text that strangers chose and people will read in a terminal: one line, no control characters.

The classes are spelt out instead of asking the interpreter's Unicode tables, which change between
versions: every node must get the same text.
"""

import re

# C0, DEL and C1; line separators; marks and overrides of writing direction; lone surrogates.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def is_plain_text(text: str) -> bool:
    """Tell whether `text` is one line without characters that steer a terminal."""
    return _CONTROL.search(text) is None


def to_one_line(text: str, length_max: int) -> str:
    """Return `text` with control characters replaced by spaces, at most `length_max` long."""
    return _CONTROL.sub(" ", text[:length_max]).strip()
