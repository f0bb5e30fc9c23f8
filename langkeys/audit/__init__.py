"""The audit trail: write its lines, and read them."""
