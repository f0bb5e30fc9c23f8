# Like secret-key.sh, while a server runs.
. "$ROOT/tests/docs/scenes/secret-key.sh"
serve http://localhost:7860 --database config/langflow.db
