"""What each operating point keeps of the best result: the table that the governor reads."""
