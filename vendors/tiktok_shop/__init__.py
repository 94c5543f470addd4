"""TikTok Shop's Open API: a seller's orders, packages, products and numbers, and a creator's shoppable posts.

Not TikTok for Developers, which has other apps, hosts, keys and answers. One app serves both sides; a seller's token
goes with the cipher of one of the shops it was granted for, a creator's token goes alone.
"""
