"""Tests of object stores, beyond the contract that all keep (`tests/contracts/test_object_store.py`)."""
