"""Administer a live Langflow server over its REST interface, without the ``store`` room."""
