#!/bin/sh
# Entry point of a Langflow container: create what is missing, then start the server.
#
#   ENTRYPOINT ["/entrypoint.sh"]
#   CMD ["langflow", "run", "--backend-only", "--env-file", ".env"]
#
# Safe at every start, and in several containers at the same time. Langflow 1.13 and later adopt the
# store that init creates. Start an older server once first; init then changes nothing.
set -eu

cd "${LANGFLOW_FOLDER:-/srv/langflow}" # a volume: the database and its .env stay here
secrets=${SECRETS_FOLDER:-/run/secrets}

langkeys init
# The password is a mounted secret; an existing user keeps their own.
langkeys user create app --password-file "$secrets/app-password" --if-missing
# Afterwards the key in the file works. A missing file is created.
langkeys api-key ensure app --user app --value-file "${KEY_FILE:-app-key}"

exec "$@"
