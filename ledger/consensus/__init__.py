"""Slot-Simplex (consensus specification 1): a pure machine from inputs to effects."""
