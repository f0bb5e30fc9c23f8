# A leaked key of alice, of which only the beginning is known.
langkeys -q init
langkeys -q user create alice --random > alice-password
printf 'sk-Vq7hT2mK%035d' 0 > laptop-key
chmod 600 laptop-key
langkeys -q api-key ensure laptop --user alice --value-file laptop-key
