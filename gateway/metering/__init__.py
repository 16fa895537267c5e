"""Measurement records and their OCMF text: forms, checks and signatures. No I/O."""
