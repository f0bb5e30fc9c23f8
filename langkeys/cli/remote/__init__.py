"""What commands do with ``--url`` and ``--remote``: ask a live server, and show it the same way."""
