"""The job in the background: counts the words of all entries and writes the sum into the store."""

import os
import signal
import threading
import urllib.error

from service import call_store

stopped = threading.Event()
signal.signal(signal.SIGTERM, lambda number, frame: stopped.set())
signal.signal(signal.SIGINT, lambda number, frame: stopped.set())

before = None
while not stopped.wait(float(os.environ.get("EVERY", "2"))):
    try:
        words = sum(len(entry["text"].split()) for entry in call_store("/entries"))
        if words != before:
            call_store("/summary", {"words": words})
            print(f"counted {words} words", flush=True)
            before = words
    except (urllib.error.URLError, OSError) as error:
        print(f"the store does not answer: {error}", flush=True)
print("stopped", flush=True)
