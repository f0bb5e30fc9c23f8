"""The store: the interface to a Langflow database, and the engines that implement it."""
