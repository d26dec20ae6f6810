"""A shop that does not exist: subscribers of a phone company whose behaviour has causes, so that it can be learned."""
