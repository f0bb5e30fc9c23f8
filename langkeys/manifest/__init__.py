"""Declared in a file: users, API keys and variables, planned, applied and exported."""
