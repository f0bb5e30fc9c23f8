"""API keys: what can be done with them, and how one is found and verified."""
