"""What a test scripts and looks at: replies, recorded requests, cassettes."""
