import contextlib
from random import Random

import pytest

from edge_contracts.errors import ManifestError
from edge_contracts.manifest import parse_manifest

HEAD = 'name = "shop"\nversion = "1.0.0"\ndescription = "Sells."\n'
GOOD = (
    HEAD
    + """
modules = ["metering"]
[methods.init]
args = { owner_name = "text" }
[methods.buy]
args = { item = "text", count = "int?" }
returns = ["text"]
payable = true
[methods.price]
query = true
caller = "owner"
[events.sold]
item = "text"
"""
)


def test_a_manifest_says_what_may_be_called():
    manifest = parse_manifest(GOOD)

    assert manifest.name == "shop"
    assert manifest.modules == ("metering",)
    assert sorted(manifest.methods) == ["buy", "init", "price"]
    assert manifest.methods["buy"].payable
    assert not manifest.methods["buy"].query
    assert manifest.methods["price"].query
    assert manifest.methods["price"].caller == "owner"
    assert [name for name, _ in manifest.events["sold"].fields] == ["item"]


METHOD = HEAD + "[methods.m]\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name = ", "manifest: not valid TOML"),
        ("x" * 20_000, "manifest: more than 16384 bytes"),
        (METHOD.replace("shop", "Shop"), "name: expected lower case"),
        (METHOD.replace('name = "shop"\n', ""), "name: expected lower case"),
        (METHOD.replace("1.0.0", "1.0"), "version: expected three numbers"),
        (METHOD.replace("Sells.", ""), "description: expected 1 to 300"),
        (METHOD.replace('"Sells."', "5"), "description: expected 1 to 300"),
        (HEAD, "methods: a contract needs at least one"),
        (HEAD + "methods = 5", "methods: expected at most 64 tables"),
        (HEAD + "[methods.Buy]", "methods.Buy: a name has lower case"),
        (HEAD + "[methods]\nm = 5", "methods.m: expected a table"),
        (METHOD + "argz = {}", "methods.m.argz: unknown key"),
        (METHOD + "args = 5", "methods.m.args: expected"),
        (METHOD + 'args = { a = "float" }', "methods.m.args.a: unknown type 'float'"),
        (METHOD + 'returns = "floats"', "methods.m.returns: unknown type"),
        (METHOD + 'payable = "yes"', "methods.m.payable: expected true or false"),
        (METHOD + "payable = true\nquery = true", "methods.m.payable: a query takes no deposit"),
        (HEAD + "[methods.init]\npayable = true", "methods.init.payable: init takes no deposit"),
        (HEAD + "[methods.init]\nquery = true", "methods.init.query: init is called once"),
        (METHOD + 'caller = "admin"', "methods.m.caller: expected one of any, owner"),
        (HEAD + "modules = 5\n[methods.m]", "modules: expected a list"),
        (HEAD + 'modules = ["../x"]\n[methods.m]', "modules: expected a list"),
        (HEAD + 'modules = ["a", "a"]\n[methods.m]', "modules: at most 8, each once"),
        (HEAD + "colour = 1\n[methods.m]", "colour: unknown key"),
        (METHOD + "[events]\ne = 5", "events.e: expected a table"),
        (METHOD + '[events.e]\nx = "number"', "events.e.x: unknown type 'number'"),
        ("x = " + "1" * 5_000 + "\n" + METHOD, "manifest: a number with more than 64 digits"),
        ("x = 0b" + "1" * 70 + "\n" + METHOD, "manifest: a number with more than 64 digits"),
        (METHOD.replace("1.0.0", "\u0661.0.0"), "version: expected three numbers"),
        (METHOD + 'returns = "\U00011f00"', r"methods.m.returns: unknown type '\U00011f00'"),
        (METHOD + "returns = " + "[" * 400, "manifest: brackets nested deeper than 11"),
        (METHOD + "returns = " + '["]",' * 20, "manifest: brackets nested deeper than 11"),
        (METHOD + "returns = " + "[''']]''', ']'," * 20, "manifest: brackets nested deeper"),
        (METHOD + "returns = " + '["""]""""",# ]\n' * 20, "manifest: brackets nested deeper"),
        (METHOD + 'returns = """' * 1_000, "manifest: not valid TOML"),
    ],
)
def test_a_fault_is_one_line_that_names_the_key(text, message):
    with pytest.raises(ManifestError) as caught:
        parse_manifest(text)

    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_brackets_and_digits_in_texts_and_comments_do_not_count():
    text = METHOD.replace("Sells.", "[" * 50 + "9" * 80 + r"\"[") + "# " + "{" * 50 + "\nargs = {}"

    assert parse_manifest(text).description.startswith("[[[")


def test_the_deepest_type_fits_into_inline_tables():
    deepest = "[" * 6 + '"int"' + "]" * 6
    manifest = parse_manifest(HEAD + f"methods = {{ m = {{ args = {{ a = {deepest} }} }} }}")

    assert [name for name, _ in manifest.methods["m"].args.fields] == ["a"]


def test_mutated_manifests_raise_nothing_else():
    random = Random(5)
    pieces = ["[", "]", "{", "}", "=", '"', "'", '"""', "\n", "#", "1979-05-27T99:00:00Z", "\\u"]
    pieces += ["9" * 60, "9" * 5_000, "nan", "0x", "1e999", "\x00", "\u2028", "\ud800", "[[m]]"]
    for _ in range(3_000):
        text = list(GOOD)
        for _ in range(random.randrange(1, 5)):
            at = random.randrange(len(text))
            text[at : at + random.randrange(3)] = [random.choice(pieces)]
        with contextlib.suppress(ManifestError):
            parse_manifest("".join(text))


def test_a_toml_fault_has_a_hint_for_its_author_apart_from_the_message():
    with pytest.raises(ManifestError) as caught:
        parse_manifest("name = \n")

    assert "line 1" in caught.value.hint
