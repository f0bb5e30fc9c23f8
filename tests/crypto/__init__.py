"""Tests of langkeys.crypto.cipher."""
