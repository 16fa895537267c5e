"""Reading OCMF text of any maker: what it says, and whether its signature holds over its very bytes.

Rule 1: the text is kept as it came; nothing is written anew, since the signature is over the payload's bytes.
Rule 2: the format's own limits hold: three sections (a fourth is the public key), one JSON object each, no name twice.
"""

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any

from gateway.errors import SettingsError
from gateway.metering.ecdsa import Curve, verify
from gateway.metering.ocmf import HEADER, SEPARATOR

TEXT_BYTES_MAX = 16 * 1024
_ALGORITHMS = {f"ECDSA-{curve.value}-SHA256": curve for curve in Curve}
_DEFAULT_ALGORITHM = "ECDSA-secp256r1-SHA256"
_SECTIONS = (3, 4)


@dataclass(frozen=True, slots=True)
class OcmfText:
    """A parsed text. `raw` are the bytes as they came, `payload` the part that is signed."""

    raw: bytes
    payload: bytes
    fields: dict[str, Any]
    curve: Curve
    signature: bytes
    embedded_key: bytes | None

    def is_signed_by(self, public_der: bytes) -> bool:
        """Tell whether the signature is this key's over the payload's bytes."""
        return verify(public_der, self.curve, self.payload, self.signature)


def parse_ocmf(raw: bytes) -> OcmfText:
    """Return the parts of a text; raises `SettingsError` with one line."""
    if len(raw) > TEXT_BYTES_MAX:
        raise SettingsError(f"OCMF: {len(raw)} bytes; at most {TEXT_BYTES_MAX} are read")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SettingsError(f"OCMF: byte {error.start} is not UTF-8") from None
    sections = text.strip().split(SEPARATOR, 3)
    if len(sections) not in _SECTIONS or sections[0] != HEADER:
        raise SettingsError("OCMF: it is not `OCMF|{payload}|{signature}`")
    fields = _parse_object(sections[1], "payload")
    signature = _parse_object(sections[2], "signature")
    if not isinstance(fields.get("RD"), list) or not fields["RD"]:
        raise SettingsError("OCMF: the payload has no readings (RD)")
    return OcmfText(
        raw=raw,
        payload=sections[1].encode(),
        fields=fields,
        curve=_find_curve(signature),
        signature=_decode(signature.get("SD"), signature.get("SE", "hex"), "SD"),
        embedded_key=parse_public_key("".join(sections[3].split())) if len(sections) == 4 else None,
    )


def parse_public_key(text: str) -> bytes:
    """Return the DER bytes of a public key in hexadecimal or base64."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        return _decode(text, "base64", "public key")


def _parse_object(text: str, where: str) -> dict[str, Any]:
    try:
        parsed = json.loads(text, object_pairs_hook=_refuse_repeated)
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"OCMF: the {where} is no JSON: {str(error)[:80]}") from None
    if not isinstance(parsed, dict):
        raise SettingsError(f"OCMF: the {where} is no JSON object")
    return parsed


def _refuse_repeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a name stands twice")
    return fields


def _find_curve(signature: dict[str, Any]) -> Curve:
    name = signature.get("SA", _DEFAULT_ALGORITHM)
    curve = _ALGORITHMS.get(name) if isinstance(name, str) else None
    if curve is None:
        known = " or ".join(_ALGORITHMS)
        raise SettingsError(f"OCMF: signed with {str(name)[:60]!r}; {known} can be checked here")
    return curve


def _decode(value: object, encoding: object, name: str) -> bytes:
    if not isinstance(value, str) or encoding not in ("hex", "base64"):
        raise SettingsError(f"OCMF: {name} is neither hexadecimal nor base64 text")
    try:
        return bytes.fromhex(value) if encoding == "hex" else base64.b64decode(value, validate=True)
    except (ValueError, binascii.Error):
        raise SettingsError(f"OCMF: {name} is not {encoding} text") from None
