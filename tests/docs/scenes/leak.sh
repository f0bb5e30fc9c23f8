# A leaked key of alice.
langkeys -q init
mkdir -m 700 secrets
langkeys -q user create alice --random > alice-password
langkeys -q api-key create --name laptop --user alice --expires 90d --write-to leaked.txt
langkeys -q api-key create --name app --write-to secrets/key
