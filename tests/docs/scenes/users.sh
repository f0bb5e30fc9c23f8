# A store with a user who has an API key.
langkeys -q init
langkeys -q user create alice --random > /dev/null
langkeys -q api-key create --user alice > /dev/null
