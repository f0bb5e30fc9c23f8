"""API keys: create, find, verify, rotate, revoke."""
