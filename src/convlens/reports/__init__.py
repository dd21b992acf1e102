"""A run -> one static HTML file."""

from convlens.reports.write import write_report

__all__ = ["write_report"]
