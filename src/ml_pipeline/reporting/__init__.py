"""result.json of every stage in; HTML, Markdown and JUnit out."""
