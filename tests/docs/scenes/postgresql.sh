# The folder of a server with a database on PostgreSQL. The server's pods get the secret key from a
# Kubernetes Secret.
python -m tests.docs.postgres > .env
chmod 600 .env
mkdir -m 700 config
mv secret_key "$HOME"
export LANGFLOW_CONFIG_DIR=$PWD/config LANGFLOW_SECRET_KEY=$(cat "$HOME/secret_key")
PATH=$(cat "$HOME/.binaries"):$PATH
export PATH

# The servers stay connected until they are scaled to 0.
pods() {
    python -m tests.docs.postgres --stay "$(sed 's|.*/||' "$HOME/.db-example-com-5432-langflow")" \
        < /dev/null > "$HOME/pods" &
    pods=$!
    for _ in $(seq 200); do
        grep -q connected "$HOME/pods" && return
        sleep 0.05
    done
    return 1
}
kubectl() {
    case "$*" in
        "scale deploy/langflow --replicas=0") kill $pods; wait $pods; echo deployment.apps/langflow scaled ;;
        "scale deploy/langflow --replicas=2") pods; echo deployment.apps/langflow scaled ;;
        *) python -m tests.docs.kubectl "$@" ;;
    esac
}
pods
