"""Variables: set, import, export and delete them, and explain which value a server uses."""
