"""Explain in words why a server cannot be reached, instead of with ``[Errno 111]``."""

import os
import socket
import ssl
from http.client import HTTPException, IncompleteRead, RemoteDisconnected

_CLOSED = "it closes the connection without an answer"
_BROKEN_OFF = "its answer breaks off"


def plain_cause(error: BaseException, seconds: float) -> tuple[str, str | None]:
    """Return the cause of a network exception in words, and the next step if there is one."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"its TLS certificate is not valid ({error.verify_message})",
            "if the certificate is from your own authority, set SSL_CERT_FILE to that"
            " authority's certificate",
        )
    if isinstance(error, ssl.SSLError):
        if error.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"):
            return "it does not speak TLS", "try http:// instead of https://"
        reason = (error.reason or "the handshake failed").replace("_", " ").lower()
        return f"no TLS connection ({reason})", None
    if isinstance(error, TimeoutError):
        return f"no complete answer within {seconds:g} seconds", None
    if isinstance(error, socket.gaierror):
        return "the name of its host cannot be resolved", None
    if isinstance(error, RemoteDisconnected | ConnectionResetError | BrokenPipeError):
        return _CLOSED, "if the server expects TLS, try https:// instead of http://"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused, nothing is listening there", None
    if isinstance(error, IncompleteRead):
        return _BROKEN_OFF, None
    if isinstance(error, HTTPException):
        return "its answer is not HTTP", None
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno), None
    return str(error) or type(error).__name__, None
