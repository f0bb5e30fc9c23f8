# A job's folder with its own API key in the file key.
serve https://langflow.example.com --key nightly=key
