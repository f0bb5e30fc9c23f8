# A store with some entries in its audit trail.
langkeys -q init
langkeys -q api-key create --name app > /dev/null
langkeys -q api-key create --name laptop > /dev/null
langkeys -q user create alice --random > /dev/null
langkeys -q api-key revoke laptop --yes --reason 'left the company' > /dev/null
langkeys api-key revoke laptop --yes > /dev/null 2>&1 || true
