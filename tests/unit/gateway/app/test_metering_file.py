"""Measurement records on disk: whatever a crash cuts off, pages have no gap."""

from typing import cast

import pytest

from gateway.app.metering_file import MeteringFile
from gateway.errors import AgentError, SettingsError
from gateway.metering.pages import decode_page, find_broken, hash_page
from gateway.settings import Home
from gateway.smart_agent.metering_client import MeteringClient
from gateway.smart_agent.metering_messages import NewestPage
from ledger.codec.canonical import Decoder
from ledger.crypto.domains import NO_HASH, measurement_message
from ledger.crypto.ed25519 import sign
from ledger.types.metering import MeteringRecord
from tests.support.metering import SIGNER, make_record

_records = Decoder(MeteringRecord)
HEADER_BYTES = 5


class CrashError(BaseException):
    """The process ends here."""


class Pages:
    """The agent's pages; it may crash before or after it has noted one, or refuse."""

    def __init__(self) -> None:
        self.newest = NewestPage(0, NO_HASH)
        self.crash = ""

    def newest_page(self, _device_id: bytes) -> NewestPage:
        return self.newest

    def note_page(self, record: bytes) -> NewestPage:
        self.newest = newest_after(record)
        return self.newest

    def sign(self, payload: bytes) -> bytes:
        if self.crash == "before":
            raise CrashError
        if self.crash == "refused":
            raise AgentError("identity-not-held: another instance holds it")
        record = _records.decode(payload)
        digest = hash_page(payload)
        if (record.page, digest) != (self.newest.page, self.newest.hash):
            assert (record.page, record.previous) == (self.newest.page + 1, self.newest.hash)
            self.newest = NewestPage(record.page, digest)
        if self.crash == "after":
            raise CrashError
        return sign(SIGNER.seed, measurement_message(payload))


@pytest.fixture
def agent():
    return Pages()


@pytest.fixture
def file(tmp_path):
    return MeteringFile(Home(tmp_path), "meter")


def append(file: MeteringFile, agent: Pages, value: int = 1) -> bytes:
    return file.append(make_record(value=value), cast("MeteringClient", agent))


def test_records_are_kept_as_pages(file, agent):
    made = [append(file, agent, value) for value in range(5)]
    assert file.pages() == made
    assert find_broken(file.pages()) is None
    assert file.path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("crash", ["before", "after"])
def test_a_page_whose_signature_was_lost_is_signed_again(file, agent, crash):
    append(file, agent)
    agent.crash = crash
    with pytest.raises(CrashError):
        append(file, agent, 2)
    agent.crash = ""
    append(file, agent, 3)
    assert len(file.pages()) == 3
    assert find_broken(file.pages()) is None


def test_a_refused_record_is_made_up_for_later(file, agent):
    agent.crash = "refused"
    with pytest.raises(AgentError, match="identity-not-held"):
        append(file, agent)
    assert file.pages() == []
    agent.crash = ""
    append(file, agent, 2)
    assert find_broken(file.pages()) is None


def test_wherever_the_power_fails_the_rest_holds_and_goes_on(file, agent):
    made = [append(file, agent, value) for value in range(3)]
    whole = file.path.read_bytes()
    begun = whole.rindex(made[1]) + len(made[1])  # where the third page's own frames begin
    asked = whole.rindex(made[2]) - HEADER_BYTES  # from here on the agent may have signed it
    edges = {begun, begun + HEADER_BYTES, asked - 1, asked, asked + HEADER_BYTES, len(whole) - 1}
    for length in sorted(edges | set(range(begun, len(whole), 29))):  # each costs several syncs
        file.path.write_bytes(whole[:length])
        append(file, agent_after(made[2] if length >= asked else made[1]), 9)
        pages = file.pages()
        kept = 3 if length >= asked else 2
        assert (len(pages), pages[:kept]) == (kept + 1, made[:kept]), length
        assert find_broken(pages) is None


def agent_after(page: bytes) -> Pages:
    """An agent whose newest page is this one."""
    agent = Pages()
    agent.newest = newest_after(page)
    return agent


def newest_after(page: bytes) -> NewestPage:
    decoded, _ = decode_page(page)
    return NewestPage(decoded.record.page, hash_page(decoded.payload))


@pytest.mark.parametrize("known", [0, 2])
def test_an_agent_that_was_restored_goes_on_behind_what_it_signed(file, agent, known):
    made = [append(file, agent, value) for value in range(4)]
    restored = agent_after(made[known - 1]) if known else Pages()
    append(file, restored, 9)
    assert len(file.pages()) == 5
    assert find_broken(file.pages()) is None


def test_a_damaged_file_is_one_line(file, agent):
    append(file, agent)
    file.path.write_bytes(b"X" + file.path.read_bytes()[1:])
    with pytest.raises(SettingsError, match="damaged at byte"):
        file.pages()


@pytest.mark.parametrize("name", ["../x", "", "a/b", "Ü"])
def test_a_name_is_no_path(tmp_path, name):
    with pytest.raises(SettingsError, match="not a device name"):
        MeteringFile(Home(tmp_path), name)
