"""Replicates S3 objects: decisions (pure), use cases (ports), adapters (boto3), wiring."""
