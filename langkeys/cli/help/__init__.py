"""Help: pages of commands and topics, and hints for what was mistyped. Imported when shown."""
