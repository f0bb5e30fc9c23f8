"""Open what a command needs: store, cipher, and acting user."""
