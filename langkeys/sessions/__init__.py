"""What a command opens: store, cipher, and the acting user."""
