"""Settings, .env files, and the locations of config folder, secret key and database."""
