"""Sessions and retained messages on disk: a `SessionJournal` over SQLite."""
