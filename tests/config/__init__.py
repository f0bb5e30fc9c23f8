"""Tests of langkeys.config."""
