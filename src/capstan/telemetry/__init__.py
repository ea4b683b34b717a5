"""What devices did: the rows, the one writer for each process, and the counters that follow from them."""
