"""Electrocardiograms as cardiologists read them: drawn on paper of millimetres. Matplotlib is loaded on first use."""

from skagile.plotting._plot_ecg import plot_ecg

__all__ = ["plot_ecg"]
