"""The JSON Schema of profile files, made from the types, for editors that check while one types.

Rewrite the file with `python -m gateway.profiles.schema`.
"""

import msgspec

from gateway.profiles.library import SHIPPED
from gateway.profiles.profile import Profile

SCHEMA_FILE = SHIPPED / "profile.schema.json"


def profile_schema() -> bytes:
    """Return the JSON Schema as text that ends with a newline."""
    schema = msgspec.json.schema(Profile) | {
        "$schema": "https://json-schema.org/draft/2020-12/schema"
    }
    return msgspec.json.format(msgspec.json.encode(schema, order="sorted"), indent=2) + b"\n"


if __name__ == "__main__":
    SCHEMA_FILE.write_bytes(profile_schema())
