"""What calls use, and the limits on it: ledger, budget, rate and concurrency."""

from ollama_transport.accounting.budget import Budget
from ollama_transport.accounting.ledger import LedgerSnapshot, ModelTotals, Price, UsageLedger
from ollama_transport.accounting.limits import Limits
from ollama_transport.accounting.meters import CallRecord, Meter
from ollama_transport.accounting.totals import UsageTotal, added

__all__ = [
    "Budget",
    "CallRecord",
    "LedgerSnapshot",
    "Limits",
    "Meter",
    "ModelTotals",
    "Price",
    "UsageLedger",
    "UsageTotal",
    "added",
]
