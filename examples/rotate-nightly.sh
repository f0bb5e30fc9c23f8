#!/bin/sh
# Replace all API keys, of any user, that are older than 90 days. For cron on the server's machine:
#
#   17 3 * * *  /usr/local/bin/rotate-nightly.sh
#
# The old key works for another week, so that its users can switch to the new one in the file. Replaced
# keys in their grace period are skipped the next night. Needs Langflow 1.10 or newer: older servers
# ignore the expiry of a key.
set -eu

cd "${LANGFLOW_FOLDER:-/srv/langflow}" # where the server's .env is
langkeys -q api-key rotate --older-than 90d --grace 7d --write-to-dir "${KEYS_FOLDER:-secrets}" \
    --reason 'nightly rotation'
# Delete expired keys.
langkeys -q api-key prune --expired --yes --reason 'nightly rotation' > /dev/null
