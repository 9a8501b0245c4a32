"""Object data of one bucket, read only, over the `ObjectStore` port."""
