"""What is built of CasADi nodes where it has none, or slow ones: movement of entries, products, loops."""
