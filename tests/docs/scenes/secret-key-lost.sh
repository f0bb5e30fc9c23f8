# A store whose secret key is lost: the server has a new one.
langkeys -q init
langkeys -q api-key > /dev/null
langkeys -q api-key create --name app > /dev/null
export LANGFLOW_SECRET_KEY=$(langkeys secret-key generate)
