"""The SmartAgent: the process that holds a node's keys and signs typed messages, never raw bytes."""
