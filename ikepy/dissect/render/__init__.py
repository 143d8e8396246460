"""Ladders as text, JSON, HTML, SVG and Mermaid."""
