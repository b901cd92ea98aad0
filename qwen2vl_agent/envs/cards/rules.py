"""What the four card games are called for people, and how well they can be played at best."""

EXAMPLES = {
    "number_line": "Move the current number to the target. plus adds 1, minus takes 1 away.",
    "ezpoint": "Write a formula that uses the number of each card exactly once and equals 12, symbol by symbol.",
    "point24": "Write a formula that uses the number of each card exactly once and equals 24, symbol by symbol.",
    "blackjack": "Win this hand of blackjack against the dealer: take a card (hit), or stay (stand).",
}
CEILINGS = {"point24": 0.7309, "blackjack": 0.4316}
"""Share of episodes that perfect play wins, where that is not all of them.

`point24`: share of deals (four ranks drawn evenly from thirteen, face cards as tens) that can make 24, weighted by how
often each comes. `blackjack`: chance to win a hand by the play that wins most often, from an endless deck.
Both are computed by `tests/envs/test_cards.py` from the rules alone.
"""
