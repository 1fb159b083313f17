"""The model contract: what training, export, serving and clients of one model must agree on."""
