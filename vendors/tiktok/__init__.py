"""TikTok for Developers: Login Kit, Content Posting and Display APIs.

Not TikTok Shop, which has other apps, hosts, keys and signatures.
"""
