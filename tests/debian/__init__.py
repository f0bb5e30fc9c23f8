"""Tests with Debian's PostgreSQL and pgbouncer: features that the PostgreSQL from pip lacks."""
