"""A run -> one static HTML file; a network, or several -> a drawing."""

from convlens.reports.diagram import network_diagram
from convlens.reports.pareto import ParetoPoint, pareto_plot
from convlens.reports.write import write_report

__all__ = ["ParetoPoint", "network_diagram", "pareto_plot", "write_report"]
