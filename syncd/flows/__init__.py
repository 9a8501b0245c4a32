"""Verbs: what is done about a claimed subject. Imports the domain and the ports only."""
