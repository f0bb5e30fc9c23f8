"""Commands with ``--url`` or ``--remote``: they use a live server and print the same output."""
