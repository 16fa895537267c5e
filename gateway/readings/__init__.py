"""The durable store: readings with gapless sequences, batches, and signed transactions to send.

A reading is answered only after its commit; what was answered survives a crash and a power cut.
"""
