#!/bin/sh
# Replace every API key that is older than 90 days, anybody's; for cron, on the server's machine:
#
#   17 3 * * *  /usr/local/bin/rotate-nightly.sh
#
# The old key works for another week, while its users read the new one from its file. What has been
# replaced and lives on in its grace is left out the next night. Needs Langflow 1.10 or newer, as
# older servers know no expiry, and so no grace.
set -eu

cd "${LANGFLOW_FOLDER:-/srv/langflow}" # where the server's .env is
langkeys -q api-key rotate --older-than 90d --grace 7d --write-to-dir "${KEYS_FOLDER:-secrets}" \
    --reason 'nightly rotation'
# Clear away the keys whose time is over.
langkeys -q api-key prune --expired --yes --reason 'nightly rotation' > /dev/null
