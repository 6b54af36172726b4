"""Scaling policies on many traces: ours, those of Serve, Knative and KEDA, and a static fleet in hindsight."""
