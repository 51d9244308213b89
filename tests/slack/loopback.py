"""HTTP to this machine: no proxy settings, and no certificates loaded for every request."""

import ssl
from typing import Any

import httpx

NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def get(url: str, **rest: Any) -> httpx.Response:
    return httpx.get(url, trust_env=False, verify=NO_CERTIFICATES, **rest)


def post(url: str, **rest: Any) -> httpx.Response:
    return httpx.post(url, trust_env=False, verify=NO_CERTIFICATES, **rest)


def browser(base_url: str = "", **rest: Any) -> httpx.Client:
    """A client that keeps cookies."""
    return httpx.Client(base_url=base_url, trust_env=False, verify=NO_CERTIFICATES, **rest)
