"""What tests control and inspect: scripted replies, recorded requests, cassettes."""
