"""Bytes: the one canonical encoding, Merkle trees and the text form of addresses."""
