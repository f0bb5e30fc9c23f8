"""Files that are read and written with care, and who owns them."""
