"""One module per subject, all of one shape: authenticate, validate, delegate, answer."""
