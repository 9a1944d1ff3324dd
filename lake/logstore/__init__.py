"""Our LogStores, in Java: Delta commits that any number of drivers can race for, in a bucket and in a folder."""
