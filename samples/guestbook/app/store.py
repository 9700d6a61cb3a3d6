"""The store: entries and their summary in SQLite on a volume, spoken to in JSON."""

import json
import os
import sqlite3

from service import Handler, serve, token


def database():
    connection = sqlite3.connect(os.environ["DATABASE"], timeout=5)
    connection.execute("CREATE TABLE IF NOT EXISTS entries (id INTEGER PRIMARY KEY, name, text)")
    connection.execute("CREATE TABLE IF NOT EXISTS summary (key TEXT PRIMARY KEY, value)")
    return connection


class Store(Handler):
    def allowed(self):
        if self.headers.get("X-Token") == token():
            return True
        self.answer(403, {"error": "wrong token"})
        return False

    def do_GET(self):
        if self.path == "/health":
            with database() as connection:
                connection.execute("SELECT count(*) FROM entries")
            return self.answer(200, {"ok": True})
        if not self.allowed():
            return None
        with database() as connection:
            if self.path == "/entries":
                rows = connection.execute("SELECT name, text FROM entries ORDER BY id")
                return self.answer(200, [{"name": name, "text": text} for name, text in rows])
            if self.path == "/summary":
                return self.answer(200, dict(connection.execute("SELECT key, value FROM summary")))
        return self.answer(404, {"error": "no such thing"})

    def do_POST(self):
        if not self.allowed():
            return None
        body = json.loads(self.body())
        with database() as connection:
            if self.path == "/entries":
                connection.execute(
                    "INSERT INTO entries (name, text) VALUES (?, ?)", (body["name"], body["text"])
                )
            elif self.path == "/summary":
                connection.executemany("REPLACE INTO summary VALUES (?, ?)", body.items())
            else:
                return self.answer(404, {"error": "no such thing"})
        return self.answer(201, {"ok": True})


serve(Store)
