"""Tests of langkeys.api_keys."""
