"""Messages, requests and answers as typed values, and how their parts are checked."""
