"""Where object events come from, over the `EventSource` port."""
