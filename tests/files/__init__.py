"""Tests of langkeys.files.staged."""
