"""Help pages for commands and topics, and suggestions after typing errors; imported when needed."""
