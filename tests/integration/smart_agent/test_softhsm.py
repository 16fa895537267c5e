"""Keys in a real PKCS #11 token: SoftHSM, with a token folder of its own."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import nacl.signing
import pkcs11
import pytest
from pkcs11 import Attribute, ObjectClass

from gateway.errors import AgentError
from gateway.smart_agent.keys import KeyPlace, Purpose
from gateway.smart_agent.messages import Bind, RefusedReason, ReportTip, Signed, SignVote
from gateway.smart_agent.providers.pkcs11_token import Token
from gateway.smart_agent.providers.pkcs11_uri import parse_pkcs11_uri
from gateway.smart_agent.providers.registry import open_keys
from gateway.smart_agent.provision import create_agent, open_agent, set_unlock
from gateway.smart_agent.sealed_key import LEAST, KdfLimits
from gateway.smart_agent.unlock import create_unlock, find_unlock
from ledger.crypto.domains import VoteKind, vote_message
from tests.support.sealed_files import limits_of

pytestmark = pytest.mark.integration

MODULES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/softhsm/libsofthsm.so")
MODULE = next((path for path in MODULES if Path(path).exists()), "")
if not MODULE or shutil.which("softhsm2-util") is None:
    pytest.skip("SoftHSM is not installed (Debian: softhsm2)", allow_module_level=True)

CHAIN, A, B = b"i" * 32, b"a" * 32, b"b" * 32
PIN, WRONG_PIN = "4711-secret-pin", "9999"
LIMITS = KdfLimits(ops=1, memory_bytes=8192)


class Hsm:
    """A SoftHSM with one token `gw`, and a PIN file."""

    def __init__(self, folder):
        self.tokens = folder / "tokens"
        self.tokens.mkdir()
        self.config = folder / "softhsm2.conf"
        self.config.write_text(
            f"directories.tokendir = {self.tokens}\nobjectstore.backend = file\nlog.level = ERROR\n"
        )
        self.pin = folder / "pin"
        self.set_pin(PIN)
        self.uri = f"pkcs11:token=gw;object=gate?module-path={MODULE}&pin-source=file:{self.pin}"
        self._gone = folder / "gone"

    def initialise(self):
        subprocess.run(
            f"softhsm2-util --init-token --free --label gw --pin {PIN} --so-pin so-pin".split(),
            check=True,
            capture_output=True,
            timeout=30,
        )

    def set_pin(self, pin):
        self.pin.write_text(pin + "\n")
        self.pin.chmod(0o600)

    def pull_out(self):
        [token] = self.tokens.iterdir()
        token.rename(self._gone)

    def put_back(self):
        self._gone.rename(self.tokens / "token")

    def session(self):
        return pkcs11.lib(MODULE).get_token(token_label="gw").open(user_pin=PIN)


@pytest.fixture
def hsm(tmp_path, monkeypatch):
    hsm = Hsm(tmp_path)
    monkeypatch.setenv("SOFTHSM2_CONF", str(hsm.config))
    # Python's environment is not C's: the module reads it when it is (re)initialised.
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    hsm.initialise()
    pkcs11.lib(MODULE).reinitialize()
    yield hsm
    pkcs11.lib(MODULE).finalize()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "agent"


@pytest.fixture
def made(hsm, folder):
    return create_agent(folder, find_unlock(folder), LIMITS, hsm.uri)


def open_in(folder):
    return open_agent(folder, find_unlock(folder))


def voting(agent):
    agent.handle(Bind(CHAIN))
    agent.handle(ReportTip(is_at_tip=True, agents=1))
    return agent


def test_keys_are_made_in_the_token_and_their_signatures_verify_with_pynacl(made, folder):
    with open_in(folder) as agent:
        assert agent.description == made
        vote = voting(agent).handle(SignVote(VoteKind.NOTARIZE, 0, 1, A))
        assert isinstance(vote, Signed)
        message = vote_message(CHAIN, VoteKind.NOTARIZE, 0, 1, A)
        nacl.signing.VerifyKey(made.consensus).verify(message, vote.signature)

    assert len({made.node, made.consensus, made.metering, made.wallet}) == 4
    names = {path.name for path in folder.iterdir()}
    assert "onion.key" in names
    assert "sealed.key" not in names, "no private key lies in a file"


def test_the_secret_beside_the_token_is_sealed_anew(made, folder):
    place = KeyPlace(folder, find_unlock(folder), KdfLimits(2, 16_384))
    assert limits_of(folder / "onion.key") == LEAST, "its secret was made with it"
    (sealed,) = set_unlock(place, b"a new unlock secret")
    assert sealed.name == "onion.key"
    assert limits_of(sealed) == place.limits
    with open_in(folder) as agent:
        assert agent.description == made


def test_the_token_gives_no_private_key_out(made, folder):
    with pkcs11.lib(MODULE).get_token(token_label="gw").open(user_pin=PIN) as session:
        keys: list[Any] = list(session.get_objects({Attribute.CLASS: ObjectClass.PRIVATE_KEY}))
        assert sorted(key.label for key in keys) == [
            "gate-consensus", "gate-metering", "gate-node", "gate-wallet"
        ]  # fmt: skip
        for key in keys:
            assert key[Attribute.SENSITIVE]
            assert not key[Attribute.EXTRACTABLE]
            with pytest.raises(pkcs11.AttributeSensitive):
                key[Attribute.VALUE]


def test_a_wrong_pin_is_one_line_offered_once_and_never_shown(made, hsm, folder, caplog):
    hsm.set_pin(WRONG_PIN)
    with pytest.raises(AgentError, match="the PIN is wrong") as caught, open_in(folder):
        pass
    assert WRONG_PIN not in str(caught.value) + caplog.text

    token = Token(parse_pkcs11_uri(hsm.uri), WRONG_PIN)
    with pytest.raises(AgentError, match="the PIN is wrong"):
        token.has_key("gate-node", None)
    for _ in range(20):
        with pytest.raises(AgentError, match="refused its PIN: mend it"):
            token.has_key("gate-node", None)
    hsm.set_pin(PIN)
    with open_in(folder) as agent:
        assert agent.description == made


@pytest.mark.parametrize("mode", [0o644, 0o640])
def test_a_pin_that_others_can_read_is_refused(made, hsm, folder, mode):
    hsm.pin.chmod(mode)

    with pytest.raises(AgentError, match=f"chmod 600 {hsm.pin}"), open_in(folder):
        pass


def test_a_token_pulled_out_while_running_is_a_refusal_and_back_again_it_signs(made, hsm, folder):
    with open_in(folder) as agent:
        voting(agent)
        assert isinstance(agent.handle(SignVote(VoteKind.NOTARIZE, 0, 1, A)), Signed)

        hsm.pull_out()
        for _ in range(3):
            refused = agent.handle(SignVote(VoteKind.NOTARIZE, 0, 2, A))
            assert refused.reason is RefusedReason.FAILED
            assert "token gw" in refused.detail
            assert "\n" not in refused.detail

        hsm.put_back()
        assert isinstance(agent.handle(SignVote(VoteKind.NOTARIZE, 0, 2, A)), Signed)
        conflict = agent.handle(SignVote(VoteKind.NOTARIZE, 0, 2, B))
        assert conflict.reason is RefusedReason.SIGN_GUARD


def test_without_its_token_the_agent_does_not_open(made, hsm, folder):
    hsm.pull_out()
    pkcs11.lib(MODULE).reinitialize()

    with pytest.raises(AgentError, match="token gw is not there: put it in"), open_in(folder):
        pass


def test_keys_that_are_there_are_not_made_again(made, hsm, tmp_path):
    other = tmp_path / "other"

    with pytest.raises(AgentError, match="'gate-node' already: name another object"):
        create_agent(other, find_unlock(other), LIMITS, hsm.uri)


def test_another_tokens_keys_of_the_same_name_are_noticed(made, hsm, folder):
    keys = open_keys(hsm.uri, KeyPlace(folder, find_unlock(folder)))
    keys._public_keys[Purpose.WALLET] = keys.public_key(Purpose.NODE)  # type: ignore[attr-defined]

    with pytest.raises(AgentError, match="not the wallet key's"):
        keys.sign(Purpose.WALLET, b"message")
    keys.close()


def test_the_pin_may_lie_beside_the_agent(hsm, folder):
    folder.mkdir(mode=0o700)
    hsm.pin.rename(folder / "pin")
    create_unlock(find_unlock(folder))

    keys = create_agent(folder, find_unlock(folder), LIMITS, hsm.uri.partition("&")[0])

    with open_in(folder) as agent:
        assert agent.description == keys


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("/nonexistent.so", "cannot open shared object"),
        ("/etc/hostname", "invalid ELF header|too short"),
    ],
)
def test_a_module_that_is_none_is_one_line(hsm, folder, module, line):
    with pytest.raises(AgentError, match=line) as caught:
        create_agent(folder, find_unlock(folder), LIMITS, hsm.uri.replace(MODULE, module))
    assert "\n" not in str(caught.value)
