#!/bin/sh
# Run a CI job's command with its own API key, which is revoked at the end:
#
#   ci-key.sh pytest tests/flows
#
# The command finds the key in LANGFLOW_API_KEY. The key is revoked when the command ends, even if it
# fails or the job is cancelled. If this script is killed, the key expires within the hour (Langflow
# 1.10 or newer).
set -eu

# An API key of a superuser, to create and revoke the job's key.
: "${LANGKEYS_API_KEY_FILE:=/run/secrets/langflow-admin-key}"
export LANGKEYS_API_KEY_FILE

key=$(langkeys -q api-key create --name "ci-${BUILD_ID:-$$}" --expires 1h)
trap 'printf %s "$key" | langkeys -q api-key revoke - --yes > /dev/null' EXIT
# A shell that is ended by a signal does not run its EXIT trap, so exit on these signals.
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# The command must not get the superuser's key.
(
    unset LANGKEYS_API_KEY_FILE
    export LANGFLOW_API_KEY="$key"
    exec "$@"
)
