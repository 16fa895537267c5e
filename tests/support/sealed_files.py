"""What a sealed file says about itself."""

import struct
from pathlib import Path

from gateway.smart_agent.sealed_key import KdfLimits


def limits_of(path: Path) -> KdfLimits:
    """Return the work of Argon2id with which a file was sealed, from its header."""
    return KdfLimits(*struct.unpack_from(">IQ", path.read_bytes(), 9))
