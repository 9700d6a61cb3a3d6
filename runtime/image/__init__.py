"""Images: references, content, layers, snapshots, and the archives in which images travel."""
