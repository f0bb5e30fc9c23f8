# A store with a running server.
langkeys -q init
serve http://localhost:7860 --database langflow.db
