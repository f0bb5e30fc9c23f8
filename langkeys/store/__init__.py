"""The store: what services may ask of a Langflow database, and the engines that answer."""
