from gateway.smart_agent.keys import AgentKeys, Purpose, describe_keys
from gateway.smart_agent.providers.file import FileKeys
from ledger.crypto import ed25519
from ledger.crypto.hashing import hkdf

ROOT = bytes(range(32))


def test_each_purpose_has_a_key_of_its_own_derived_by_its_label():
    keys = FileKeys(ROOT)

    for purpose in Purpose:
        seed = hkdf(ROOT, f"smartshare/{purpose.value}/1")
        assert keys.public_key(purpose) == ed25519.derive_public_key(seed)
    assert len({keys.public_key(purpose) for purpose in Purpose}) == len(Purpose) == 4


def test_keys_do_not_change_between_versions():
    assert (
        FileKeys(ROOT).public_key(Purpose.NODE).hex()
        == "3868adef23afa80b80a282effacbc2784799c8a9397edffeb59c1348628942bc"
    )
    assert (
        FileKeys(ROOT).public_key(Purpose.CONSENSUS).hex()
        == "141842e254eb8f065ef6865e3e0f2a6d3bb5b6f6359bf638639397feecb58dc5"
    )


def test_a_signature_verifies_under_its_own_key_only():
    keys = FileKeys(ROOT)
    signature = keys.sign(Purpose.WALLET, b"message")

    verdicts = {
        purpose: ed25519.verify_strict(keys.public_key(purpose), b"message", signature)
        for purpose in Purpose
    }
    assert verdicts == {purpose: purpose is Purpose.WALLET for purpose in Purpose}


def test_no_secret_in_any_text_form():
    keys = FileKeys(ROOT)
    secrets = [ROOT, *(hkdf(ROOT, f"smartshare/{purpose.value}/1") for purpose in Purpose)]

    shown = f"{keys!r} {keys} {describe_keys(keys, None)!r}"

    assert "FileKeys(sealed)" in shown
    assert not any(secret.hex() in shown or repr(secret) in shown for secret in secrets)


def test_a_description_answers_by_purpose():
    description = AgentKeys(b"n" * 32, b"c" * 32, b"m" * 32, b"w" * 32)

    assert [description.key_of(purpose)[:1] for purpose in Purpose] == [b"n", b"c", b"m", b"w"]
