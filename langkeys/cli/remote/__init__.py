"""Commands with ``--url`` and ``--remote``: they use a live server, and print the same output."""
