# Like secret-key.sh, after a rotation that was killed after its commit.
. "$ROOT/tests/docs/scenes/secret-key.sh"
{ LANGKEYS_FAILPOINT=committed langkeys secret-key rotate --yes || true; } > /dev/null 2>&1
