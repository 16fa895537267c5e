"""What each kind of transaction does: one file a kind, its rules at the top.

A function returns None or `Processed` when its effects stand, else why they do not.
"""
