"""Expressions of contract Lua: `..`, `#` and calls, rewritten on the way (see `translate`)."""

from abc import abstractmethod
from dataclasses import dataclass

from edge_contracts.errors import SourceError
from edge_contracts.language.cursor import Cursor
from edge_contracts.language.tokens import TokenKind
from edge_contracts.metering import CONSTRUCTOR_ITEMS_MAX

_UNARY = frozenset({"not", "-", "#", "~"})
_CONCAT = ".."
# Lua 5.4 manual, 3.4.8; a chain of `..` is parsed flat, because it is associative.
_BINARY = {
    **dict.fromkeys(["or"], 1),
    **dict.fromkeys(["and"], 2),
    **dict.fromkeys(["<", ">", "<=", ">=", "~=", "=="], 3),
    **dict.fromkeys(["|"], 4),
    **dict.fromkeys(["~"], 5),
    **dict.fromkeys(["&"], 6),
    **dict.fromkeys(["<<", ">>"], 7),
    **dict.fromkeys([_CONCAT], 9),
    **dict.fromkeys(["+", "-"], 10),
    **dict.fromkeys(["*", "//", "%"], 11),
}


@dataclass(frozen=True, slots=True)
class Expression:
    """A rewritten expression."""

    text: str
    is_call: bool = False  # may give several values


@dataclass(frozen=True, slots=True)
class Suffixed:
    """A name followed by accesses and calls; `prefix` and `key` are set when it ends in an index; `name` when it is a bare name."""

    text: str
    is_call: bool = False
    prefix: str = ""
    key: str = ""
    name: str = ""


class ExpressionTranslator(Cursor):
    """The expression half of the parser."""

    @abstractmethod
    def _function_body(self, names: tuple[str, ...] = ()) -> str:
        """Parse parameters and body of a function; `names` are declared before its parameters."""

    def _expression_list(self) -> tuple[str, int, bool]:
        """Return the text, how many, and whether the last is a bare call."""
        expression = self._expression()
        text, count = expression.text, 1
        while self._is(","):
            text += self._take()
            expression = self._expression()
            text += expression.text
            count += 1
        return text, count, expression.is_call

    def _expression(self, above: int = 0) -> Expression:
        """Parse operators that bind tighter than `above`."""
        self._nest()
        left = self._unary()
        while self._is(*_BINARY) and _BINARY[self._next.text] > above:
            operator = self._next.text
            if operator == _CONCAT:
                left = self._concat(left)
            else:
                sign = self._take()
                right = self._expression(_BINARY[operator])
                left = Expression(f"{left.text}{sign}{right.text}")
        self._depth -= 1
        return left

    def _concat(self, first: Expression) -> Expression:
        pieces = [f"({first.text})"]
        while self._is(_CONCAT):
            comma = self._take(",")
            pieces.append(f"{comma} ({self._expression(_BINARY[_CONCAT]).text})")
        if len(pieces) > CONSTRUCTOR_ITEMS_MAX // 2:
            raise SourceError(self._line, "too many '..' in one expression; use table.concat")
        return Expression(f" __cat({''.join(pieces)})")

    def _unary(self) -> Expression:
        operators = []
        while self._is(*_UNARY):
            operators.append(self._take("__len(" if self._is("#") else None))
        operand = self._simple()
        closing = ")" * sum(operator.endswith("__len(") for operator in operators)
        if not operators:
            return operand
        return Expression("".join(operators) + operand.text + closing)

    def _simple(self) -> Expression:
        if self._next.kind in {TokenKind.NUMBER, TokenKind.STRING}:
            return Expression(self._take())
        if self._is("nil", "true", "false"):
            return Expression(self._take())
        if self._is("{"):
            return Expression(self._constructor())
        if self._is("function"):
            return Expression(self._take() + self._function_body())
        place = self._suffixed()
        return Expression(place.text, place.is_call)

    def _suffixed(self) -> Suffixed:
        place = self._primary()
        pieces = [place.text]
        name, key, is_call, prefix_len = place.name, "", False, 0
        while self._is(".", "[", ":", "(", "{") or self._next.kind is TokenKind.STRING:
            name, is_call, prefix_len = "", not self._is(".", "["), len(pieces)
            if is_call:
                pieces.extend(self._call())
            else:
                access, key = self._index()
                pieces.append(access)
        text = "".join(pieces)
        if name or is_call or not prefix_len:
            return Suffixed(text, is_call=is_call, name=name)
        return Suffixed(text, prefix="".join(pieces[:prefix_len]), key=key)

    def _call(self) -> list[str]:
        if self._is(":"):
            return [self._take(), self._expect_name()[1], self._arguments()]
        return [self._arguments()]

    def _index(self) -> tuple[str, str]:
        """Return the access as written, and its key as an expression."""
        if self._is("."):
            dot = self._take()
            name, name_text = self._expect_name()
            return dot + name_text, dot.replace(".", "") + name_text.replace(name, f'"{name}"')
        opening = self._take()
        key = self._expression().text
        return opening + key + self._expect("]"), opening.replace("[", "") + key

    def _primary(self) -> Suffixed:
        if self._is("("):
            text = self._take() + self._expression().text
            return Suffixed(text + self._expect(")"))
        name, text = self._expect_name()
        self._check_known(name)
        return Suffixed(text, name=name)

    def _arguments(self) -> str:
        if self._next.kind is TokenKind.STRING:
            return self._take()
        if self._is("{"):
            return self._constructor()
        text = self._expect("(")
        if not self._is(")"):
            text += self._expression_list()[0]
        return text + self._expect(")")

    def _constructor(self) -> str:
        text = self._take()
        count = 0
        while not self._is("}"):
            text += self._field()
            count += 1
            if count > CONSTRUCTOR_ITEMS_MAX:
                raise SourceError(
                    self._line, f"a table constructor has at most {CONSTRUCTOR_ITEMS_MAX} items"
                )
            if not self._is(",", ";"):
                break
            text += self._take()
        return text + self._expect("}")

    def _field(self) -> str:
        if self._is("["):
            text = self._take() + self._expression().text
            return text + self._expect("]") + self._expect("=") + self._expression().text
        # A name is never the last token: END follows.
        if self._next.kind is TokenKind.NAME and self._tokens[self._at + 1].text == "=":
            return self._expect_name()[1] + self._take() + self._expression().text
        return self._expression().text
