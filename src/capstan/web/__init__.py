"""HTTP plumbing of the control plane: declarations in, parsing, principals, errors and documents out. No resource."""
