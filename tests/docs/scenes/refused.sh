# Three keys in files: one that has expired, one that never existed, one that works.
langkeys -q init
langkeys -q api-key create --name gateway --expires 30d --write-to old-key
aged gateway 45
(umask 77; printf 'sk-%s' "$(langkeys secret-key generate)" > unknown-key)
langkeys -q api-key create --name app --write-to good-key
