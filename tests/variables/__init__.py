"""Tests of langkeys.variables.lifecycle."""
