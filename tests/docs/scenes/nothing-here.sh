# A folder without settings and without a database.
