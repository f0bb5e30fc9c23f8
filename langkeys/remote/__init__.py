"""Administer a live Langflow server over its REST interface. A server is not a store."""
