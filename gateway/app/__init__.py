"""Composition: what each Smartshare process is made of, and the work that joins its parts."""
