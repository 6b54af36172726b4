"""raybeam: OTP's way of building systems that never stop, for Python, on Ray."""
