"""Tests of langkeys.crypto."""
