"""Tests of langkeys as a process, with real Langflow servers."""
