"""The secret key: its files, and its rotation with journal and recovery."""
