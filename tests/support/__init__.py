"""What the tests share: databases, servers, terminals, and the rows in them."""
