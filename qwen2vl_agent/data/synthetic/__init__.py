"""On-line generators of pictures with questions: what teaches a model without any download to read and to point."""
