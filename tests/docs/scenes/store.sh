# A store as init creates it.
langkeys -q init
