"""Whole-process tests of langkeys beside real Langflow servers."""
