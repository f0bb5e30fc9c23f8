"""Tests of the command line: exit codes, stdout and stderr apart."""
