#!/bin/sh
# A job rotates its own API key over REST, without the database and without a superuser.
# See docs/rest.md. The new key replaces the file before the old one is deleted.
set -eu

export LANGFLOW_URL="${LANGFLOW_URL:-https://langflow.example.com}"
cd "${KEY_FOLDER:-/run/secrets/langflow}" # the job's own folder, which must be writable
langkeys api-key rotate - --remote --write-to langflow-key < langflow-key
