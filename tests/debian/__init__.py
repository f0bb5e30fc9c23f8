"""Tests with Debian's PostgreSQL and pgbouncer, for what a server from pip cannot show."""
