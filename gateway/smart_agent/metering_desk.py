"""Pages of measurement records: each number is signed once for a meter, and names the page before it.

Rule 1: the newest page of every meter is on disk before its signature leaves; a page that was signed may be
signed again only in the very same bytes.
Rule 2: OCMF text is written here, from records that bear this agent's own signature, and by a key of its own
that signs nothing else.
"""

import importlib.metadata
from collections.abc import Callable
from functools import cache
from pathlib import Path

import msgspec

from gateway.errors import AgentError, SettingsError
from gateway.metering.ecdsa import EcdsaKey
from gateway.metering.ocmf import Page, build_payload, build_text
from gateway.metering.pages import decode_page, hash_page
from gateway.smart_agent.messages import Refused, RefusedReason, one_line
from gateway.smart_agent.metering_messages import (
    OCMF_BYTES_MAX,
    AskOcmfKey,
    AskPage,
    MeteringRequest,
    NewestPage,
    NotePage,
    OcmfKey,
    OcmfSigned,
    SignOcmf,
)
from gateway.smart_agent.private_files import read_private, write_private
from ledger.crypto.domains import NO_HASH, measurement_message
from ledger.crypto.ed25519 import verify_strict
from ledger.crypto.hashing import hkdf
from ledger.errors import CodecError
from ledger.types.metering import MeteringRecord

METERS_MAX = 1000  # the devices that one gateway may have
_FILE_BYTES_MAX = 256 * 1024
_LABEL = "smartshare/ocmf/1"
_NO_PAGE = NewestPage(0, NO_HASH)


class MeteringDesk:
    """Admits pages, and writes OCMF text. `secret` gives the secret behind the ECDSA keys, when needed."""

    def __init__(self, path: Path, secret: Callable[[], bytes]) -> None:
        self._path = path
        self._newest = _load(path)
        self._key_of = cache(lambda curve: EcdsaKey(hkdf(secret(), _LABEL), curve))

    def admit(self, record: MeteringRecord, payload: bytes) -> Refused | None:
        """Make a page its meter's newest, durably, and return None; or why it is not signed."""
        device = record.meter.device_id.hex()
        newest = self._newest.get(device, _NO_PAGE)
        digest = hash_page(payload)
        if (record.page, digest) == (newest.page, newest.hash):
            return None
        if record.page != newest.page + 1:
            detail = f"page {record.page} is not the next: the newest is {newest.page}"
            return Refused(RefusedReason.NOT_ALLOWED, detail)
        if record.previous != newest.hash:
            detail = f"page {record.page} names another page {newest.page} than the signed one"
            return Refused(RefusedReason.NOT_ALLOWED, detail)
        return self._keep(device, NewestPage(record.page, digest))

    def _keep(self, device: str, newest: NewestPage) -> Refused | None:
        if device not in self._newest and len(self._newest) >= METERS_MAX:
            return Refused(RefusedReason.NOT_ALLOWED, f"{METERS_MAX} meters have pages already")
        pages = {**self._newest, device: newest}
        write_private(self._path, msgspec.msgpack.encode(pages))
        self._newest = pages
        return None

    def _note(self, raw: bytes, signer: bytes) -> NewestPage | Refused:
        """Go on behind a page that bears our own signature: never back, so no number is used twice."""
        page = _own_page(raw, signer)
        if isinstance(page, Refused):
            return page
        device = page.record.meter.device_id.hex()
        newest = self._newest.get(device, _NO_PAGE)
        if page.record.page > newest.page:
            shown = NewestPage(page.record.page, hash_page(page.payload))
            return self._keep(device, shown) or shown
        return newest

    def answer(
        self, request: MeteringRequest, signer: bytes
    ) -> NewestPage | OcmfSigned | OcmfKey | Refused:
        """Answer a request; `signer` is the agent's metering key."""
        match request:
            case AskPage():
                return self._newest.get(request.device_id.hex(), _NO_PAGE)
            case NotePage():
                return self._note(request.record, signer)
            case AskOcmfKey():
                return OcmfKey(self._key_of(request.curve).public_der)
            case SignOcmf():
                return self._write_ocmf(request, signer)

    def _write_ocmf(self, request: SignOcmf, signer: bytes) -> OcmfSigned | Refused:
        if sum(len(raw) for raw in request.records) > OCMF_BYTES_MAX:
            return Refused(RefusedReason.NOT_ALLOWED, "too many bytes for one OCMF text")
        pages = []
        for raw in request.records:
            page = _own_page(raw, signer)
            if isinstance(page, Refused):
                return page
            pages.append(page)
        try:
            payload = build_payload(pages, importlib.metadata.version("smartshare-gateway"))
        except SettingsError as error:
            return Refused(RefusedReason.NOT_ALLOWED, one_line(str(error)))
        signature = self._key_of(request.curve).sign(payload)
        return OcmfSigned(build_text(payload, signature, request.curve))


def _own_page(raw: bytes, signer: bytes) -> Page | Refused:
    try:
        page, signature = decode_page(raw)
    except CodecError as error:
        return Refused(RefusedReason.MALFORMED, one_line(f"measurement record {error}"))
    if page.record.signer != signer or not verify_strict(
        signer, measurement_message(page.payload), signature
    ):
        return Refused(RefusedReason.WRONG_SENDER, "a record is not signed by this agent")
    return page


def _load(path: Path) -> dict[str, NewestPage]:
    if not path.exists():
        return {}
    try:
        return msgspec.msgpack.decode(
            read_private(path, _FILE_BYTES_MAX), type=dict[str, NewestPage]
        )
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise AgentError(f"{path} is damaged: {error}: restore it") from None
