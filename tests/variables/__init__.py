"""Tests of langkeys.variables."""
