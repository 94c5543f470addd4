"""The TikTok stand-in: Login Kit, Content Posting API, Display API and webhooks of TikTok for Developers."""
