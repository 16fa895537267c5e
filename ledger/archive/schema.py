"""The tables of the archive. Bytes are BYTEA, amounts base units, times Unix milliseconds.

The models are bound to no database: each query names the one it runs on.
"""

from peewee import (
    BigIntegerField,
    BlobField,
    BooleanField,
    IntegerField,
    Model,
    TextField,
)


class MetaRow(Model):
    """Facts about the archive itself: its layout and the chain it is of."""

    name = TextField(primary_key=True)
    value = BlobField()

    class Meta:
        """Options of the table."""

        table_name = "archive_meta"


class BlockRow(Model):
    """One final block; `header` and `proof` are the canonical bytes."""

    height = BigIntegerField(primary_key=True)
    hash = BlobField(unique=True)
    parent_hash = BlobField()
    epoch = BigIntegerField(index=True)
    slot = BigIntegerField()
    time_ms = BigIntegerField(index=True)
    proposer = BlobField(index=True)
    state_root = BlobField()
    transactions = IntegerField()
    header = BlobField()
    proof = BlobField()

    class Meta:
        """Options of the table."""

        table_name = "block"


class TransactionRow(Model):
    """One final transaction; `body` is its body as JSON text, bytes in it as hexadecimal."""

    id = BlobField(primary_key=True)
    height = BigIntegerField(index=True)
    position = IntegerField()
    kind = TextField(index=True)
    sender = BlobField(index=True)
    nonce = BigIntegerField()
    fee_payer = BlobField()
    fee_paid = BigIntegerField()
    is_applied = BooleanField()
    reason = TextField()
    gas_used = BigIntegerField()
    body = TextField()
    raw_bytes = BlobField(column_name="raw")  # peewee's Model has a method `raw`
    outcome = BlobField()

    class Meta:
        """Options of the table."""

        table_name = "transaction"


TABLES: tuple[type[Model], ...] = (MetaRow, BlockRow, TransactionRow)
