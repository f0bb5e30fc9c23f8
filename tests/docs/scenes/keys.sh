# A store with keys of different ages, two of them in files.
langkeys -q init
mkdir -m 700 secrets
langkeys -q user create alice --random > alice-password
langkeys -q api-key create --name gateway --write-to secrets/gateway
langkeys -q api-key create --name ci --expires 30d --write-to secrets/key
langkeys -q api-key create --name laptop --user alice > laptop-key
aged gateway 120
aged laptop 200
