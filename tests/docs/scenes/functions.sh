# Functions for all scenes.

# Move a key's times back: aged NAME DAYS
aged() {
    python - "$@" << 'END'
import sqlite3, sys
name, days = sys.argv[1:]
with sqlite3.connect("langflow.db") as connection:
    changed = connection.execute(
        "UPDATE apikey SET created_at = strftime('%Y-%m-%d %H:%M:%f000', created_at, ?),"
        " expires_at = strftime('%Y-%m-%d %H:%M:%f000', expires_at, ?) WHERE name = ?",
        (f"-{days} days", f"-{days} days", name),
    ).rowcount
assert changed == 1, name
END
}

# A server at an address that the documents name: serve ADDRESS [--database FILE]
serve() {
    python -m tests.docs.server "$@" < /dev/null > "$HOME/server.log" 2>&1 &
    server=$!
    for _ in $(seq 200); do
        compgen -G "$HOME/.http*" > /dev/null && return
        sleep 0.05
    done
    cat "$HOME/server.log"
    return 1
}

kubectl() { python -m tests.docs.kubectl "$@"; }
