"""Variables: what can be done with them, and which value a server uses."""
