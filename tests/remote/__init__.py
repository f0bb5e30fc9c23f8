"""What asks a live server, against servers of the tests: hostile ones and a small Langflow."""
