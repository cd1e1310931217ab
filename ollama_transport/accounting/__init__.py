"""What calls use, and the limits on it: ledger, budget, rate and concurrency."""
