"""Administer a live Langflow server over its REST interface. This is not another store."""
