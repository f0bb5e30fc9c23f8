"""Accept the API keys that the Langflow server beside this program accepts."""

from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Security
from fastapi.security import APIKeyHeader

import langkeys

app = FastAPI()
store = langkeys.open_store()  # settings from ./.env and the environment, like the command line


def caller(key: Annotated[str | None, Security(APIKeyHeader(name="x-api-key", auto_error=False))]):
    try:
        return store.verify(key, count_use=True).user
    except langkeys.InvalidKeyError:
        raise HTTPException(403, "Invalid API key") from None


@app.get("/hello")
def hello(user: Annotated[langkeys.User, Depends(caller)]):
    return {"hello": user.username}
