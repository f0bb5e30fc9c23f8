"""Manifests: users, API keys and variables declared in files, to plan, apply and export."""
