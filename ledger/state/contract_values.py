"""Arguments of contract calls: canonical MessagePack of plain values, judged alike by every node.

Plain: None, booleans, integers that fit 64 signed bits, text, bytes, lists, and maps with text keys.
No floats (Lua's and Python's print differently), and a depth far below any decoder's stack limit,
because where exactly a stack ends depends on the node.
"""

import msgspec

from ledger.codec import canonical
from ledger.params import CONTRACT_VALUE_DEPTH_MAX

_INTEGER_BOUND = 2**63
_decoder: msgspec.msgpack.Decoder[object] = msgspec.msgpack.Decoder(object)


def is_contract_value(data: bytes) -> bool:
    """Tell whether `data` is the canonical encoding of one plain value."""
    try:
        value = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return _is_plain(value, CONTRACT_VALUE_DEPTH_MAX) and canonical.encode(value) == data


def _is_plain(value: object, depth: int) -> bool:
    match value:
        case None | bool() | str() | bytes():
            return True
        case int():
            return -_INTEGER_BOUND <= value < _INTEGER_BOUND
        case list():
            return depth > 0 and all(_is_plain(item, depth - 1) for item in value)
        case dict():
            return depth > 0 and all(
                isinstance(key, str) and _is_plain(item, depth - 1) for key, item in value.items()
            )
        case _:
            return False
