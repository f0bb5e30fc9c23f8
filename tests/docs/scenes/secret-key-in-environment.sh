# Like secret-key.sh, with the secret key in the environment.
. "$ROOT/tests/docs/scenes/secret-key.sh"
export LANGFLOW_SECRET_KEY=$(cat config/secret_key)
