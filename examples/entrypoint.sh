#!/bin/sh
# Entry point of a Langflow container: make what is missing, then become the server.
#
#   ENTRYPOINT ["/entrypoint.sh"]
#   CMD ["langflow", "run", "--backend-only", "--env-file", ".env"]
#
# Safe at every start, and in several containers at once. From Langflow 1.13 on a server adopts
# the store that init makes; start an older server once before, init then changes nothing.
set -eu

cd "${LANGFLOW_FOLDER:-/srv/langflow}" # a volume: the database and its .env stay here
secrets=${SECRETS_FOLDER:-/run/secrets}

langkeys init
# The password is a mounted secret; a user who is there already keeps theirs.
langkeys user create app --password-file "$secrets/app-password" --if-missing
# The key in the file works afterwards; it is made where the file is missing.
langkeys api-key ensure app --user app --value-file "${KEY_FILE:-app-key}"

exec "$@"
