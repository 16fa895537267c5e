"""The laboratory: whole clusters of real consensus cores in one process, in virtual time.

Chance is a seeded generator handed in; the same seed gives the same run, event for event.
"""
