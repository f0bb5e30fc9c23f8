# What a CI job has: the database, and a superuser's API key as a secret.
langkeys -q init
langkeys -q api-key create --name admin --write-to /run/secrets/langflow-admin-key
export BUILD=42
