"""What a trained model is good for: predict, detect, give features, explain."""
