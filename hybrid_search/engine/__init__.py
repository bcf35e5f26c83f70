"""The engines: one dialect each, one transport each, and what is done with an index. Vendor clients end here."""

from hybrid_search.engine.connection import AsyncConnection, Connection, connect, connect_async

__all__ = ["AsyncConnection", "Connection", "connect", "connect_async"]
