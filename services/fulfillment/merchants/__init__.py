"""Connected Amazon sellers."""
