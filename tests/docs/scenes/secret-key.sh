# A server's folder with a config folder, which has the secret key in its file secret_key.
mkdir -m 700 config
cat > .env << END
LANGFLOW_CONFIG_DIR=$PWD/config
LANGFLOW_SAVE_DB_IN_CONFIG_DIR=true
LANGFLOW_AUTO_LOGIN=false
LANGFLOW_SUPERUSER=administrator
LANGFLOW_SUPERUSER_PASSWORD=$(langkeys secret-key generate)
END
chmod 600 .env
langkeys -q init
langkeys -q api-key create --name app > /dev/null
langkeys -q api-key create --name ci > /dev/null
printf %s sk-proj-demo | langkeys -q variable set OPENAI_API_KEY --value-file - > /dev/null
