"""What was measured, for people: Markdown tables, plots, and one page that needs no server."""
