"""Shared helpers of the tests: databases and their rows, servers, and terminals."""
