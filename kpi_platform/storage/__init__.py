"""Landing (object store), lake (Delta) and warehouse (SQL): the only code that does I/O."""
