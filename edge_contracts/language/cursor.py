"""A place in a list of tokens, the names in scope there, and how tokens are written out again.

Text leaves in the order of its tokens and every token brings its own line breaks, so the rewritten
source has the line numbers of the original.
"""

from edge_contracts.errors import SourceError
from edge_contracts.language.tokens import Token, TokenKind

NESTING_MAX = 64  # far below Lua's own 200 and Python's stack

_REFUSED = {
    "/": "'/' makes floats; use '//' or host.muldiv",
    "^": "'^' makes floats; multiply instead",
    "...": "'...' is not available; pass a table",
}


class Cursor:
    """Walks tokens; a name is known when it is local or one of `environment`."""

    def __init__(self, tokens: list[Token], environment: frozenset[str]) -> None:
        self._tokens = tokens
        self._at = 0
        self._line = 1
        self._depth = 0
        self._environment = environment
        self._scopes: list[set[str]] = []

    @property
    def _next(self) -> Token:
        return self._tokens[self._at]

    def _is(self, *texts: str) -> bool:
        is_word = self._next.kind in {TokenKind.OPERATOR, TokenKind.KEYWORD}
        return is_word and self._next.text in texts

    def _take(self, replacement: str | None = None) -> str:
        token = self._next
        newlines = "\n" * (token.line - self._line)
        self._line = token.line
        self._at += 1
        return f"{newlines} {token.text if replacement is None else replacement}"

    def _expect(self, text: str) -> str:
        if not self._is(text):
            raise self._unexpected(f"'{text}' expected")
        return self._take()

    def _expect_name(self) -> tuple[str, str]:
        token = self._next
        if token.kind is not TokenKind.NAME:
            raise self._unexpected("a name expected")
        return token.text, self._take()

    def _unexpected(self, detail: str = "unexpected") -> SourceError:
        token = self._next
        if token.kind is TokenKind.OPERATOR and token.text in _REFUSED:
            return SourceError(token.line, _REFUSED[token.text])
        near = token.kind.value if token.kind is TokenKind.END else f"'{token.text[:20]}'"
        return SourceError(token.line, f"{detail} near {near}")

    # Scopes

    def _declare(self, name: str) -> None:
        self._scopes[-1].add(name)

    def _is_local(self, name: str) -> bool:
        return any(name in scope for scope in self._scopes)

    def _nest(self) -> None:
        self._depth += 1
        if self._depth > NESTING_MAX:
            raise SourceError(self._next.line, f"nested deeper than {NESTING_MAX}")

    def _check_known(self, name: str) -> None:
        if not self._is_local(name) and name not in self._environment:
            raise SourceError(self._line, f"unknown name '{name}': declare it with 'local'")
