"""Tests of the stores: a contract for all engines, and tests of SQLite's own behaviour."""
