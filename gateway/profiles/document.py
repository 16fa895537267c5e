"""YAML text to plain data that remembers its lines, by a small and strict part of YAML 1.1.

Hostile or slipped text is refused with `file:line: what is wrong`: anchors, aliases, tags and
duplicate keys, text that YAML reads as something else (`yes`, `010`, `1:30`), and floats, because
a profile's numbers are exact.
"""

import re
from dataclasses import dataclass
from typing import TypeAlias

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.tokens import AliasToken, AnchorToken, DirectiveToken, TagToken

from gateway.errors import ProfileError

FILE_BYTES_MAX = 64 * 1024  # ten times the largest map; PyYAML needs a second for as much
DEPTH_MAX = 20

Path: TypeAlias = tuple[str | int, ...]
Plain: TypeAlias = "bool | int | str | list[Plain] | dict[str, Plain] | None"

_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,19})|0x[0-9a-fA-F]{1,16}", re.ASCII)
_YAML = "tag:yaml.org,2002:"
_BANNED = {
    AnchorToken: "anchors (&) are not allowed; write the value out",
    AliasToken: "aliases (*) are not allowed; write the value out",
    TagToken: "tags (!) are not allowed; remove it",
    DirectiveToken: "directives (%) are not allowed; remove it",
}


@dataclass(frozen=True, slots=True)
class Document:
    """The data of one file, and the line (from 1) of each value in it."""

    file: str
    data: Plain
    lines: dict[Path, int]

    def error(self, path: Path, what: str) -> ProfileError:
        """Return the one line that says what is wrong at `path`, or at its nearest known parent."""
        while path not in self.lines:
            path = path[:-1]
        return ProfileError(f"{self.file}:{self.lines[path]}: {one_line(what)}")


def one_line(text: str) -> str:
    """Return `text` with what would break, colour or reorder the line written as an escape."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def parse_document(raw: bytes, file: str) -> Document:
    """Return the data of one YAML document; raise `ProfileError` naming file and line."""
    if len(raw) > FILE_BYTES_MAX:
        raise ProfileError(f"{file}:1: larger than {FILE_BYTES_MAX // 1024} KiB; shorten it")
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ProfileError(f"{file}:{line}: not UTF-8 text; save the file as UTF-8") from None
    try:
        _check_tokens(text, file)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark is not None else 1
        raise ProfileError(f"{file}:{line}: not YAML: {error.problem or error.context}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ProfileError(f"{file}:{line}: not YAML: a control character; remove it") from None
    except (ValueError, OverflowError):  # PyYAML passes any number in an escape to chr()
        raise ProfileError(
            f"{file}:{_escape_line(text)}: not YAML: an escape is no character"
        ) from None
    if node is None:
        raise ProfileError(f"{file}:1: empty; start with `name:`")
    builder = _Builder(file)
    return Document(file, builder.build(node, ()), builder.lines)


def _escape_line(text: str) -> int:
    """Return the line of the first eight-digit escape."""
    return text.count("\n", 0, max(text.find("\\U"), 0)) + 1


def _check_tokens(text: str, file: str) -> None:
    """Refuse what is banned, and nesting, before the recursive composer runs."""
    depth = 0
    for token in yaml.scan(text, Loader=yaml.SafeLoader):
        line = token.start_mark.line + 1
        if type(token) in _BANNED:
            raise ProfileError(f"{file}:{line}: {_BANNED[type(token)]}")
        name = type(token).__name__
        depth += name.endswith("StartToken") - name.endswith("EndToken")
        if depth > DEPTH_MAX:
            raise ProfileError(f"{file}:{line}: nested deeper than {DEPTH_MAX}; flatten it")


class _Builder:
    """Turns nodes into plain data and notes the line of each."""

    def __init__(self, file: str) -> None:
        self.lines: dict[Path, int] = {}
        self._file = file

    def build(self, node: Node, path: Path) -> Plain:
        self.lines[path] = node.start_mark.line + 1
        if isinstance(node, MappingNode):
            return self._build_mapping(node, path)
        if isinstance(node, SequenceNode):
            return [self.build(child, (*path, i)) for i, child in enumerate(node.value)]
        assert isinstance(node, ScalarNode)
        return self._build_scalar(node)

    def _build_mapping(self, node: MappingNode, path: Path) -> dict[str, Plain]:
        data: dict[str, Plain] = {}
        for key_node, child in node.value:
            key = key_node.value
            if not isinstance(key_node, ScalarNode):
                raise self._error(key_node, "a list or a map is no key; write one word")
            self._check_characters(key_node)
            if key_node.tag != _YAML + "str":
                raise self._error(key_node, f"the key {key[:40]!r} is not text; put it in quotes")
            if key in data:
                raise self._error(key_node, f"the key {key[:40]!r} appears twice; remove one")
            data[key] = self.build(child, (*path, key))
            self.lines[(*path, key)] = key_node.start_mark.line + 1
        return data

    def _build_scalar(self, node: ScalarNode) -> Plain:
        self._check_characters(node)
        text: str = node.value
        kind = node.tag.removeprefix(_YAML)
        if kind == "null":
            return None
        if kind == "bool" and text in ("true", "false"):
            return text == "true"
        if kind == "int" and _INTEGER.fullmatch(text):
            return int(text, 0) if text.startswith("0x") else int(text)
        if kind in ("str", "timestamp"):
            return text
        raise self._error(node, f"{text[:40]!r} can be read in several ways; {_ADVICE[kind]}")

    def _check_characters(self, node: ScalarNode) -> None:
        if not node.value.isascii():
            try:
                node.value.encode()
            except UnicodeEncodeError:
                raise self._error(node, "half of a surrogate pair is no character") from None

    def _error(self, node: Node, what: str) -> ProfileError:
        return ProfileError(f"{self._file}:{node.start_mark.line + 1}: {one_line(what)}")


_ADVICE = {
    "bool": "write true or false, or put text in quotes",
    "int": "write 12 or 0x0C, or put text in quotes",
    "float": "put a number with a fraction in quotes",
    "merge": "put it in quotes",
    "value": "put it in quotes",
}
