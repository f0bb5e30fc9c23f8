#!/bin/sh
# Run a CI job's command with an API key of its own, which ends with the job:
#
#   ci-key.sh pytest tests/flows
#
# The command finds the key in LANGFLOW_API_KEY. It is revoked when the command ends, also if it
# fails or the job is cancelled; should this script be killed, the key expires within the hour
# (Langflow 1.10 or newer).
set -eu

# The API key of a superuser, who makes and revokes the job's.
: "${LANGKEYS_API_KEY_FILE:=/run/secrets/langflow-admin-key}"
export LANGKEYS_API_KEY_FILE

key=$(langkeys -q api-key create --name "ci-${BUILD_ID:-$$}" --expires 1h)
trap 'printf %s "$key" | langkeys -q api-key revoke - --yes > /dev/null' EXIT
# A shell runs the trap of EXIT only where it exits by itself.
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# Not with the superuser's key.
(
    unset LANGKEYS_API_KEY_FILE
    export LANGFLOW_API_KEY="$key"
    exec "$@"
)
