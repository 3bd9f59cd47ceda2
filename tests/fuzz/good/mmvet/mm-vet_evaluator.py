"""A stand-in for MM-Vet's evaluator: only its few-shot prompt is read, and this one is our own."""

prompt = """How much of the ground truth does the prediction say? Give one number between 0.0 (nothing of it) and 1.0 (all of it). Parts joined by <AND> must all be there; of parts joined by <OR> one is enough.

Question | Ground truth | Prediction | Correctness
--- | --- | --- | ---
What color is the circle? | The circle is red. | The circle is red. | 1.0
What color is the circle? | The circle is red. | The circle is green. | 0.0
Where is the star? | The star is at the top left. | The star is at the top right. | 0.5
"""
