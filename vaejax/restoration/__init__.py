"""What the tasks that restore pictures share: versions by a model, baselines, and scores."""
