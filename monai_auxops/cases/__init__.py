"""Individual cases: their names, their table, Clara's report files."""
