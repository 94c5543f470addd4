"""What REST takes and answers, one module per kind of thing, each with its translation from and to the protos."""
