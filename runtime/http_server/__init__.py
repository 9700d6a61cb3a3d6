"""HTTP/1.1 server on asyncio (RFC 9112), for the API and for the registry.

Reading order: `messages` (request, response, body, hijack), `connection` (one client; the only
place that parses HTTP), `server` (accepts clients), `tls` and `pump` (TLS, and raw streams over
it), `listeners` (sockets to accept on).
"""
