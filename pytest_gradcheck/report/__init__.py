"""From a result to lines of text: pure functions, and the hook-side function that prints them."""
