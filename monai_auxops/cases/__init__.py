"""Cases one by one: their names, their table, Clara's report files."""
