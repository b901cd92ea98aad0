"""The data side: conversations, recorded episodes and generators become packed batches of tokens and patches."""
