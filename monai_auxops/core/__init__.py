"""What an aux-op is made of: one iteration's context, running means, and the agreement between ranks."""
