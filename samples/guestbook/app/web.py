"""The page: shows the entries of the store, takes new ones."""

import html
import os
import string
import urllib.error
import urllib.parse

from service import Handler, call_store, serve


def page():
    with open("/srv/templates/page.html", encoding="utf-8") as file:
        template = string.Template(file.read())
    entries = call_store("/entries")
    summary = call_store("/summary")
    items = "\n".join(
        f"      <li><b>{html.escape(entry['name'])}</b>: {html.escape(entry['text'])}</li>"
        for entry in entries
    )
    return template.substitute(
        title=html.escape(os.environ["TITLE"]),
        items=items or "      <li>nobody yet</li>",
        count=len(entries),
        words=summary.get("words", 0),
    )


class Web(Handler):
    def do_GET(self):
        if self.path == "/health":
            return self.answer(200, {"ok": True})
        if self.path != "/":
            return self.answer(404, {"error": "no such page"})
        try:
            return self.answer(200, page(), "text/html; charset=utf-8")
        except urllib.error.URLError as error:
            return self.answer(502, {"error": f"the store does not answer: {error}"})

    def do_POST(self):
        form = urllib.parse.parse_qs(self.body())
        entry = {key: form.get(key, [""])[0][:500] for key in ("name", "text")}
        if not all(entry.values()):
            return self.answer(400, {"error": "name and text are needed"})
        call_store("/entries", entry)
        return self.answer(303, {}, Location="/")


serve(Web)
