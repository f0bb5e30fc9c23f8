"""Tests of langkeys.files."""
