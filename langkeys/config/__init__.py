"""Settings, .env files, and where things are: the config folder, the secret key, the database."""
