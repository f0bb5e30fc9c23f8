# A store, and a .env with credentials for programs.
langkeys -q init
cat >> .env << 'END'
OPENAI_API_KEY=sk-proj-demo
MY_TOKEN='two
lines'
END
