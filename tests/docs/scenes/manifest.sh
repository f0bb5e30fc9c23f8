# The page's manifest with the secrets that it names, and bob with a key.
langkeys -q init
export CI_GITHUB_TOKEN=github
langkeys -q user create bob --random > bob-password
langkeys -q api-key create --name old --user bob > bob-key
mkdir out
sed 's,/run/out,/srv/langflow/out,; s,/run/sec[r]ets,/run/secrets,' "$ROOT/examples/manifest/langflow.yaml" > langflow.yaml
printf openai > /run/secrets/openai
printf 'sk-%043d' 1 > /run/secrets/partner-key
printf 'correct horse battery' > /run/secrets/alice-password
