"""What is served, beside what the model was trained on."""
