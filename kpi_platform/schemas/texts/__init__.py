"""Texts from outside: read as what they say, and shown so that they harm nobody."""
