"""Tests of langkeys.library."""
