"""A run -> one static HTML file; a network, or several -> a drawing; pictures and maps -> an SVG and a page."""

from convlens.reports.diagram import network_diagram
from convlens.reports.figures import likelihood
from convlens.reports.maps import MapFigure, Picture, maps_page, maps_svg
from convlens.reports.pareto import ParetoPoint, pareto_plot
from convlens.reports.write import write_report

__all__ = [
    "MapFigure",
    "ParetoPoint",
    "Picture",
    "likelihood",
    "maps_page",
    "maps_svg",
    "network_diagram",
    "pareto_plot",
    "write_report",
]
