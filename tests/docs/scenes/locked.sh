# A store that another process is writing to.
langkeys -q init
python < /dev/null > lock.log 2>&1 -c '
import sqlite3, time
connection = sqlite3.connect("langflow.db", isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
open("locked", "w").close()
time.sleep(600)' &
until [ -e locked ]; do sleep 0.05; done
