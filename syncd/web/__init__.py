"""Pages and bytes for browsers, served by the receiver's port."""
