"""Help pages for commands and topics, and suggestions for typing errors. Imported when needed."""
