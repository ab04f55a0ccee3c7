"""The only SQL: each function takes a cursor first and returns entities."""
