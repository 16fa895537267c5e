"""Lexer for the Lua 5.4 that contracts are written in.

Every token is read, checked and later written out anew: what Lua sees is made from tokens alone, so
nothing can hide in a comment, a string or an odd number that the two lexers would read differently.
"""

import enum
import re
from dataclasses import dataclass

from edge_contracts.errors import SourceError
from edge_contracts.metering import STRING_BYTES_MAX

KEYWORDS = frozenset(
    [
        "and",
        "break",
        "do",
        "else",
        "elseif",
        "end",
        "false",
        "for",
        "function",
        "goto",
        "if",
        "in",
        "local",
        "nil",
        "not",
        "or",
        "repeat",
        "return",
        "then",
        "true",
        "until",
        "while",
    ]
)
RESERVED_PREFIX = "__"  # of the functions that the translation calls
_INTEGER_MAX = 2**63 - 1
_HEX_DIGITS_MAX = 16

_WORD = re.compile(r"[A-Za-z0-9_]+|[^ \t\r\n\v\fA-Za-z0-9_]")
_SPACE = re.compile(r"[ \t\v\f]+")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]+|[0-9]+")
_NUMBER_GOES_ON = re.compile(r"[.A-Za-z0-9_]")
_LONG_OPEN = re.compile(r"\[(=*)\[")
_OPERATOR = re.compile(r"\.\.\.|\.\.|==|~=|<=|>=|<<|>>|//|::|[-+*/%^#&~|<>=(){}\[\];:,.]")
_PLAIN_TEXT = re.compile(r"[^\\\n\"']+")
_ESCAPES = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 92, '"': 34, "'": 39}
_HEX_ESCAPE = re.compile(r"x([0-9a-fA-F]{2})")
_DECIMAL_ESCAPE = re.compile(r"[0-9]{1,3}")
_UNICODE_ESCAPE = re.compile(r"u\{([0-9a-fA-F]{1,6})\}")
_SKIP_ESCAPE = re.compile(r"z[ \t\v\f\n]*")


class TokenKind(enum.Enum):
    """What a token is; keywords and operators are recognised by their text."""

    NAME = "name"
    KEYWORD = "keyword"
    NUMBER = "number"
    STRING = "string"
    OPERATOR = "operator"
    END = "end of file"


@dataclass(frozen=True, slots=True)
class Token:
    """One token: its Lua text (strings re-escaped onto one line) and where it starts."""

    kind: TokenKind
    text: str
    line: int


def read_tokens(source: str) -> list[Token]:
    """Return the tokens of a chunk, the last of kind END; raise `SourceError`."""
    return _Lexer(source.replace("\r\n", "\n")).read()


def count_words(source: str) -> int:
    """Return the number of words and signs, which is quick: no token has fewer than one."""
    return len(_WORD.findall(source))


class _Lexer:
    def __init__(self, source: str) -> None:
        self._source = source
        self._at = 0
        self._line = 1
        self._tokens: list[Token] = []

    def read(self) -> list[Token]:
        while self._at < len(self._source):
            self._read_one()
        self._tokens.append(Token(TokenKind.END, "", self._line))
        return self._tokens

    def _read_one(self) -> None:
        char = self._source[self._at]
        if char == "\n":
            self._at += 1
            self._line += 1
        elif space := _SPACE.match(self._source, self._at):
            self._at = space.end()
        elif self._source.startswith("--", self._at):
            self._skip_comment()
        elif char in "\"'":
            self._read_quoted(char)
        elif opening := _LONG_OPEN.match(self._source, self._at):
            line = self._line
            self._add_string(self._take_long(opening).encode(errors="replace"), line)
        else:
            self._read_word_or_operator(char)

    def _read_word_or_operator(self, char: str) -> None:
        if name := _NAME.match(self._source, self._at):
            if name[0].startswith(RESERVED_PREFIX):
                raise SourceError(
                    self._line, f"names that start with {RESERVED_PREFIX} are reserved"
                )
            kind = TokenKind.KEYWORD if name[0] in KEYWORDS else TokenKind.NAME
            self._take(kind, name[0])
        elif number := _NUMBER.match(self._source, self._at):
            self._check_number(number)
            self._take(TokenKind.NUMBER, number[0])
        elif operator := _OPERATOR.match(self._source, self._at):
            self._take(TokenKind.OPERATOR, operator[0])
        else:
            raise SourceError(self._line, f"unexpected character {char!a}")

    def _take(self, kind: TokenKind, text: str) -> None:
        self._tokens.append(Token(kind, text, self._line))
        self._at += len(text)

    def _check_number(self, number: re.Match[str]) -> None:
        if _NUMBER_GOES_ON.match(self._source, number.end()):
            raise SourceError(self._line, "contracts have whole numbers only, such as 42 or 0x2a")
        text = number[0]
        if text[1:2] in {"x", "X"}:
            if len(text) - 2 > _HEX_DIGITS_MAX:
                raise SourceError(self._line, "a hexadecimal number has at most 16 digits")
        elif len(text) > 19 or int(text) > _INTEGER_MAX:
            raise SourceError(self._line, f"number {text[:20]} is larger than {_INTEGER_MAX}")

    def _skip_comment(self) -> None:
        self._at += 2
        if opening := _LONG_OPEN.match(self._source, self._at):
            self._take_long(opening)
            return
        end = self._source.find("\n", self._at)
        self._at = len(self._source) if end < 0 else end

    def _take_long(self, opening: re.Match[str]) -> str:
        closing = f"]{opening[1]}]"
        end = self._source.find(closing, opening.end())
        if end < 0:
            raise SourceError(self._line, f"'{closing}' is missing")
        body = self._source[opening.end() : end]
        self._line += body.count("\n")
        self._at = end + len(closing)
        return body.removeprefix("\n")

    def _read_quoted(self, quote: str) -> None:
        line = self._line
        content = bytearray()
        self._at += 1
        while (char := self._source[self._at : self._at + 1]) != quote:
            if char in {"", "\n"}:
                raise SourceError(self._line, "unfinished string")
            if char == "\\":
                self._at += 1
                content += self._take_escape()
            elif plain := _PLAIN_TEXT.match(self._source, self._at):
                content += plain[0].encode(errors="replace")
                self._at = plain.end()
            else:  # the other kind of quote
                content += char.encode()
                self._at += 1
        self._at += 1
        self._add_string(bytes(content), line)

    def _take_escape(self) -> bytes:
        char = self._source[self._at : self._at + 1]
        if char in _ESCAPES:
            self._at += 1
            return bytes([_ESCAPES[char]])
        if char == "\n":
            self._at += 1
            self._line += 1
            return b"\n"
        if skipped := _SKIP_ESCAPE.match(self._source, self._at):
            self._line += skipped[0].count("\n")
            self._at = skipped.end()
            return b""
        return self._take_numeric_escape()

    def _take_numeric_escape(self) -> bytes:
        if match := _HEX_ESCAPE.match(self._source, self._at):
            encoded = bytes.fromhex(match[1])
        elif (match := _DECIMAL_ESCAPE.match(self._source, self._at)) and int(match[0]) < 256:
            encoded = bytes([int(match[0])])
        elif (match := _UNICODE_ESCAPE.match(self._source, self._at)) and _is_scalar(match[1]):
            encoded = chr(int(match[1], 16)).encode()
        else:
            raise SourceError(self._line, "unknown escape in a string")
        self._at = match.end()
        return encoded

    def _add_string(self, content: bytes, line: int) -> None:
        if len(content) > STRING_BYTES_MAX:
            raise SourceError(line, f"a string has more than {STRING_BYTES_MAX} bytes")
        self._tokens.append(Token(TokenKind.STRING, _quote(content), line))


def _is_scalar(digits: str) -> bool:
    number = int(digits, 16)
    return number < 0x110000 and not 0xD800 <= number < 0xE000


def _quote(content: bytes) -> str:
    pieces = (
        chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\{byte:03d}"
        for byte in content
    )
    return '"' + "".join(pieces) + '"'
