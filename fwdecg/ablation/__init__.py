"""The ablation study: variants of the network, their comparison, and its report."""
