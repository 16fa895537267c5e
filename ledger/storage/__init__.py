"""The chain on disk: SQLite through peewee, one writer, any number of readers."""
