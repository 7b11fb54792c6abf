"""Plots as inline SVG: coloured by the page's style sheet, each with its numbers as a table."""
