"""What a call is given: which value is which argument, and what each is made of."""
