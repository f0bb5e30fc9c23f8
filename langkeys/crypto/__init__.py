"""Fernet, hashes and passwords, as Langflow uses them."""
