"""Show API keys, users, variables and audit entries as rows, cards and JSON."""
