"""The documents: their console blocks are run, their links followed, their pictures drawn."""
