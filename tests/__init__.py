"""The tests of langkeys."""
