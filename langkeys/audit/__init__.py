"""The audit trail: its lines are written here, and read again."""
