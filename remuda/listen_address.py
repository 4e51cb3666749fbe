"""The address of `OLLAMA_HOST`."""

from urllib.parse import urlsplit

from pydantic import BaseModel


class ListenAddress(BaseModel):
    """Where the gateways listen, or where a client finds them."""

    scheme: str = "http"
    host: str = "127.0.0.1"
    port: int = 11434
    path: str = ""

    @classmethod
    def parse(cls, text: str) -> "ListenAddress":
        """Reads a host, host:port, an IPv6 address or a URL. An invalid port becomes the scheme's default."""
        scheme, separator, rest = text.partition("://")
        if not separator:
            scheme, rest = ("https" if text == "ollama.com" else "http"), text
        default_port = {"http": 80, "https": 443}.get(scheme, 11434) if separator or text == "ollama.com" else 11434
        authority, _, path = rest.partition("/")
        if authority.count(":") > 1 and not authority.startswith("["):
            authority = f"[{authority}]"
        parts = urlsplit(f"//{authority}")
        try:
            port = parts.port if parts.port is not None else default_port
        except ValueError:
            port = default_port
        host = parts.hostname if parts.hostname is not None else ("" if authority.startswith(":") else "127.0.0.1")
        return cls(scheme=scheme, host=host, port=port, path=f"/{path.rstrip('/')}" if path else "")

    @property
    def authority(self) -> str:
        """host:port, with IPv6 addresses in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def client_url(self) -> str:
        """The URL that a client on this machine calls. A wildcard address becomes the loopback address."""
        host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(
            self.host, self.authority.rpartition(":")[0]
        )
        return f"{self.scheme}://{host}:{self.port}{self.path}"
