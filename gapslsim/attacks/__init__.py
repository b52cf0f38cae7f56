"""What smashed data gives away of the inputs: distance correlation, and a decoder that reconstructs them."""
