"""A live Langflow server over its REST interface: beside the store, not one more store."""
