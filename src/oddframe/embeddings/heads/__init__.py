"""Heads: what is normal among embeddings. A file here whose class has a `name` is one; nothing else
lists them.
"""
