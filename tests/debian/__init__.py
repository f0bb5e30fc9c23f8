"""Against the PostgreSQL and the pgbouncer of Debian: what a server from pip cannot show."""
