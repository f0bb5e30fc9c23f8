# A server that runs on a store.
langkeys -q init
serve http://localhost:7860 --database langflow.db
