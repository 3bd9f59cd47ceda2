# The short form of `make torture`: a sample of each way to fail.
sh "$ROOT/tests/faults/torture.sh" short
