"""The dashboard: a pure store, feeds that fill it, and Textual widgets that show it."""
