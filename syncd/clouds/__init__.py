"""How the clouds are reached: credentials and clients, one module for each. Used by sources, stores and `service`."""
