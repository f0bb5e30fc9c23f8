"""Test the documents: run their console blocks, check their links, and draw their pictures."""
