# A job's folder with its own API key, and a server that knows the key.
mkdir /run/secrets/langflow
cd /run/secrets/langflow
serve https://langflow.example.com --key nightly=langflow-key
cp langflow-key old
