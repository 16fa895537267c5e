"""The strict part of YAML: what is read, which line it came from, and what is refused."""

import pytest

from gateway.errors import ProfileError
from gateway.profiles.document import parse_document


def test_values_and_their_lines():
    document = parse_document(b"a: 1\nb:\n  - 0x10\n  - {c: true, d: null}\ne: '007'\n", "p.yaml")
    assert document.data == {"a": 1, "b": [16, {"c": True, "d": None}], "e": "007"}
    assert document.lines[("b", 1, "d")] == 4
    assert document.lines[("e",)] == 5


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (b"a: &x 1\n", "p.yaml:1: anchors (&) are not allowed; write the value out"),
        (b"a: 1\nb: *a\n", "p.yaml:2: aliases (*) are not allowed; write the value out"),
        (b"a: !!python/object:os.system x\n", "p.yaml:1: tags (!) are not allowed; remove it"),
        (b"%YAML 1.1\n---\na: 1\n", "p.yaml:1: directives (%) are not allowed; remove it"),
        (b"a: 1\na: 2\n", "p.yaml:2: the key 'a' appears twice; remove one"),
        (b"a:\n  1: 2\n", "p.yaml:2: the key '1' is not text; put it in quotes"),
        (b"? [a]\n: 1\n", "p.yaml:1: a list or a map is no key; write one word"),
        (b"a: 1\n? {b: 1}\n: 1\n", "p.yaml:2: a list or a map is no key"),
        (
            b'"a\\n\\e[31m": 1\n"a\\n\\e[31m": 2\n',
            "p.yaml:2: the key 'a\\n\\x1b[31m' appears twice",
        ),
        (b"a: 1.5\n", "p.yaml:1: '1.5' can be read in several ways; put a number with a fraction"),
        (b"a: yes\n", "p.yaml:1: 'yes' can be read in several ways; write true or false"),
        (b"a: 010\n", "p.yaml:1: '010' can be read in several ways; write 12 or 0x0C"),
        (b"a: 1:30\n", "p.yaml:1: '1:30' can be read in several ways"),
        (b"<<: {a: 1}\n", "p.yaml:1: the key '<<' is not text"),
        (b"a: =\n", "p.yaml:1: '=' can be read in several ways"),
        (b"a: [1\nb: 2\n", "p.yaml:2: not YAML"),
        (b"a:\n\t- 1\n", "p.yaml:2: not YAML"),
        (b"a: 1\n---\nb: 1\n", "p.yaml:2: not YAML"),
        (b"a: 1\nb: \xff\n", "p.yaml:2: not UTF-8 text"),
        (b"a: \x07\n", "p.yaml:1: not YAML: a control character"),
        (b'a: "\\UFFFFFFFF"\n', "p.yaml:1: not YAML: an escape"),
        (b'a: 1\nb: "\\uD800"\n', "p.yaml:2: half of a surrogate pair"),
        (b'a: 1\n"\\uDFFF": 1\n', "p.yaml:2: half of a surrogate pair"),
        (b"# nothing\n", "p.yaml:1: empty"),
        (b"a: " + b"[" * 21 + b"]" * 21, "p.yaml:1: nested deeper than 20"),
        (b"- " * 21 + b"a", "p.yaml:1: nested deeper than 20"),
        (b"#" * (64 * 1024 + 1), "p.yaml:1: larger than 64 KiB"),
    ],
)
def test_refused(text, line):
    with pytest.raises(ProfileError) as caught:
        parse_document(text, "p.yaml")
    assert str(caught.value).startswith(line)
    assert str(caught.value).isprintable()
