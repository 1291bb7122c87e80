"""Services for long-running work: storage, result ownership, node checks, task pool, metrics."""
