# Empty folders.
