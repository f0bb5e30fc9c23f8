"""Tests of langkeys.users."""
