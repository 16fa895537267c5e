"""Contract Lua to metered Lua: the subset that contracts are written in, and how it is rewritten.

Stock Lua lets single instructions do unbounded work (`s .. s`, `...`, re-hashing a table), shows how
tables lie in memory (`#` with holes) and has floats. A contract's source is therefore parsed and
written out anew, line for line:

    a .. b .. c      __cat((a), (b), (c))      charged by length, bounded
    #t               __len(t)                  the same border on every node
    t.k = v          __set(t, "k", (v))        text keys or integers 1..65536; counts entries
    for i = a, b     for i = __int(a), __int(b)

Refused: floats, `/`, `^`, `...`, names that are neither local nor part of the fixed environment,
assignments to such names, `return a, f()` (results would pile up), `<close>`, huge constructors.
Lua itself remains the judge of what is well-formed; this parser only needs the structure.
"""

from collections.abc import Callable

from edge_contracts.errors import SourceError
from edge_contracts.language.expressions import ExpressionTranslator, Suffixed
from edge_contracts.language.tokens import TokenKind, read_tokens
from ledger.params import CONTRACT_CODE_BYTES_MAX

ENVIRONMENT = frozenset(
    [
        "assert",
        "call",
        "error",
        "host",
        "ipairs",
        "math",
        "pairs",
        "pcall",
        "string",
        "table",
        "tonumber",
        "tostring",
        "type",
        "xpcall",
    ]
)

_BLOCK_ENDS = frozenset({"end", "else", "elseif", "until"})


def translate(source: str, extra_names: frozenset[str] = frozenset()) -> str:
    """Return the metered form of a contract's source; raise `SourceError`."""
    if len(source.encode(errors="replace")) > CONTRACT_CODE_BYTES_MAX:
        raise SourceError(1, f"the source has more than {CONTRACT_CODE_BYTES_MAX} bytes")
    return _Translator(read_tokens(source), ENVIRONMENT | extra_names).translate()


class _Translator(ExpressionTranslator):
    """The statement half of the parser."""

    def translate(self) -> str:
        text = self._block()
        if self._next.kind is not TokenKind.END:
            raise self._unexpected()
        return text

    def _block(self, names: tuple[str, ...] = (), *, keeps_scope: bool = False) -> str:
        self._nest()
        self._scopes.append(set(names))
        pieces = []
        while self._next.kind is not TokenKind.END and not self._is(*_BLOCK_ENDS):
            is_last = self._is("return")
            pieces.append(self._statement())
            if is_last:
                break
        if not keeps_scope:
            self._scopes.pop()
        self._depth -= 1
        return "".join(pieces)

    def _statement(self) -> str:
        token = self._next
        if token.kind is not TokenKind.KEYWORD:
            if self._is(";"):
                return self._take()
            return self._label() if self._is("::") else self._expression_statement()
        parsers: dict[str, Callable[[], str]] = {
            "break": self._take,
            "goto": self._goto,
            "do": self._do,
            "while": self._while,
            "repeat": self._repeat,
            "if": self._if,
            "for": self._for,
            "function": self._function_statement,
            "local": self._local,
            "return": self._return,
        }
        if token.text not in parsers:
            raise self._unexpected()
        return parsers[token.text]()

    def _goto(self) -> str:
        return self._take() + self._expect_name()[1]

    def _do(self) -> str:
        return self._take() + self._block() + self._expect("end")

    def _while(self) -> str:
        return self._take() + self._expression().text + self._do_block()

    def _label(self) -> str:
        return self._take() + self._expect_name()[1] + self._expect("::")

    def _do_block(self, names: tuple[str, ...] = ()) -> str:
        return self._expect("do") + self._block(names) + self._expect("end")

    def _repeat(self) -> str:
        text = self._take() + self._block(keeps_scope=True) + self._expect("until")
        text += self._expression().text  # sees the block's locals
        self._scopes.pop()
        return text

    def _if(self) -> str:
        text = ""
        while not text or self._is("elseif"):
            text += self._take() + self._expression().text + self._expect("then") + self._block()
        if self._is("else"):
            text += self._take() + self._block()
        return text + self._expect("end")

    def _for(self) -> str:
        text = self._take()
        name, name_text = self._expect_name()
        names = [name]
        text += name_text
        if self._is("="):
            text += self._take() + self._bound() + self._expect(",") + self._bound()
            if self._is(","):
                text += self._take() + self._bound()
            return text + self._do_block((name,))
        while self._is(","):
            comma = self._take()
            name, name_text = self._expect_name()
            names.append(name)
            text += comma + name_text
        text += self._expect("in") + self._expression_list()[0]
        return text + self._do_block(tuple(names))

    def _bound(self) -> str:
        return f" __int({self._expression().text})"

    def _function_statement(self) -> str:
        keyword = self._take("")
        name, text = self._expect_name()
        self._check_known(name)
        if not self._is(".", ":"):
            if not self._is_local(name):
                raise SourceError(self._line, f"'{name}' is not a local variable")
            return f"{keyword} function{text}{self._function_body()}"
        while True:
            is_method = self._is(":")
            dot = self._take(".")
            key, key_text = self._expect_name()
            if is_method or not self._is(".", ":"):
                break
            text += dot + key_text
        # `dot` and `key_text` may carry newlines, which have to stay.
        key_text = dot.replace(".", "") + key_text.replace(key, f'"{key}"')
        body = self._function_body(("self",) if is_method else ())
        return f"{keyword} __set({text},{key_text}, function{body})"

    def _local(self) -> str:
        text = self._take()
        if self._is("function"):
            text += self._take()
            name, name_text = self._expect_name()
            self._declare(name)
            return text + name_text + self._function_body()
        names = []
        while True:
            name, name_text = self._expect_name()
            names.append(name)
            text += name_text + (self._attribute() if self._is("<") else "")
            if not self._is(","):
                break
            text += self._take()
        if self._is("="):
            text += self._take() + self._expression_list()[0]
        for name in names:
            self._declare(name)
        return text

    def _attribute(self) -> str:
        text = self._take()
        name, name_text = self._expect_name()
        if name != "const":
            raise SourceError(self._line, f"attribute '{name}' is not available")
        return text + name_text + self._expect(">")

    def _return(self) -> str:
        text = self._take()
        if self._next.kind is not TokenKind.END and not self._is(";", *_BLOCK_ENDS):
            values, count, is_last_call = self._expression_list()
            if count > 1 and is_last_call:
                raise SourceError(self._line, "put the last call in parentheses: return a, (f())")
            text += values
        return text + (self._take() if self._is(";") else "")

    def _expression_statement(self) -> str:
        target = self._suffixed()
        if self._is("=", ","):
            return self._assignment(target)
        if not target.is_call:
            raise self._unexpected("a statement expected")
        return target.text

    def _assignment(self, target: Suffixed) -> str:
        if target.prefix and self._is("="):
            comma = self._take(",")
            return f" __set({target.prefix},{target.key}{comma} ({self._expression().text}))"
        text = self._local_target(target)
        while self._is(","):
            text += self._take()
            text += self._local_target(self._suffixed())
        return text + self._expect("=") + self._expression_list()[0]

    def _local_target(self, target: Suffixed) -> str:
        if target.prefix:
            raise SourceError(self._line, "assign one table field per statement")
        if not target.name:
            raise self._unexpected("cannot assign")
        if not self._is_local(target.name):
            raise SourceError(self._line, f"'{target.name}' is not a local variable")
        return target.text

    def _function_body(self, names: tuple[str, ...] = ()) -> str:
        text = self._expect("(") + (" self" if names else "")
        parameters = list(names)
        while not self._is(")"):
            comma = "," if names and len(parameters) == 1 else ""
            name, name_text = self._expect_name()
            parameters.append(name)
            text += comma + name_text
            if not self._is(","):
                break
            text += self._take()
        text += self._expect(")")
        # A function starts afresh on Lua's stack but sees the names around it.
        return text + self._block(tuple(parameters)) + self._expect("end")
