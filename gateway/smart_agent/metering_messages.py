"""Requests about measurement records: pages signed by the metering key, and their OCMF text."""

from typing import Annotated

import msgspec
from msgspec import Meta

from gateway.metering.ecdsa import Curve
from gateway.metering.ocmf import RECORDS_MAX
from ledger.types.metering import RECORD_BYTES_MAX
from ledger.types.primitives import Counter, Hash

SIGNED_RECORD_BYTES_MAX = RECORD_BYTES_MAX + 128
OCMF_BYTES_MAX = 128 * 1024  # of all records of one text: the answer fits a frame


class AskPage(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="page"):
    """Ask for the newest page that was signed of a device's meter. Answer: `NewestPage`."""

    device_id: Hash


class SignMeasurement(
    msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="measurement"
):
    """Sign a canonical `MeteringRecord` with the metering key: the next page. Answer: `Signed`."""

    payload: Annotated[bytes, Meta(max_length=RECORD_BYTES_MAX)]


class SignOcmf(
    msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="ocmf"
):
    """Sign the OCMF text of own signed records, which the agent writes itself. Answer: `OcmfSigned`."""

    curve: Curve
    records: Annotated[
        tuple[Annotated[bytes, Meta(max_length=SIGNED_RECORD_BYTES_MAX)], ...],
        Meta(min_length=1, max_length=RECORDS_MAX),
    ]


class NotePage(
    msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="note-page"
):
    """Show a page that this agent signed and has forgotten, as after a restore. Answer: `NewestPage`."""

    record: Annotated[bytes, Meta(max_length=SIGNED_RECORD_BYTES_MAX)]


class AskOcmfKey(
    msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="ocmf-key"
):
    """Ask for the public key of a curve. Answer: `OcmfKey`."""

    curve: Curve


class NewestPage(msgspec.Struct, frozen=True, array_like=True, tag="newest-page"):
    """The newest page's number and hash; 0 and zeros where none was signed."""

    page: Counter
    hash: Hash


class OcmfSigned(msgspec.Struct, frozen=True, array_like=True, tag="ocmf-signed"):
    """The whole OCMF text."""

    text: str


class OcmfKey(msgspec.Struct, frozen=True, array_like=True, tag="ocmf-public-key"):
    """A DER SubjectPublicKeyInfo."""

    public_der: bytes


MeteringRequest = AskPage | NotePage | SignOcmf | AskOcmfKey
MeteringAnswer = NewestPage | OcmfSigned | OcmfKey
