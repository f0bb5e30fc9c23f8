"""Tests of langkeys.secret_key."""
