"""What is verified of a library that nobody trusts yet; `library.check` runs it all."""
