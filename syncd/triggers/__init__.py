"""What happens when a version appears or a tag moves: an HTTP call, a command, an export."""
