"""One module per family of verbs; imported by name when the verb is used."""
