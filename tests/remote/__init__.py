"""Tests of langkeys.remote, with hostile servers and a fake Langflow."""
