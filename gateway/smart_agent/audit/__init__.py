"""The SmartAgent's audit log: every signature it gave, hash-chained, so that no entry can be changed unseen."""
