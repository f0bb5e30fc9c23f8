"""Open the resources of a command: store, cipher, and acting user."""
