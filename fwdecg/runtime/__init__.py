"""What long-running work needs anywhere: storage, ownership of results, tasks, progress, cost."""
