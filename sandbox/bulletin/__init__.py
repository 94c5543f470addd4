"""Bulletin: a make-believe platform that publishes a text in one call, without a handle and without an idempotency key.

It stands for the platforms that work like this: what a lost answer left behind can only be found in the list of the
account's recent posts. It answers past the sandbox's router and keeps little, so that it takes thousands of posts a
second; for a process that does nothing else, start another `python -m sandbox` on a port of its own.

The API, JSON in UTF-8. Times are Unix seconds with fractions. Calls carry `Authorization: Bearer <access token>`.

    GET  /bulletin/authorize?redirect_uri=&state=&code_challenge=
         The consent page. The browser comes back with `code` and `state`, or `error` and `state`. The challenge is the
         lower-case hexadecimal SHA-256 of the verifier.
    POST /bulletin/v1/token      {code, redirect_uri, code_verifier}
         → {access_token, account, display_name}. A code works once. Tokens last until they are revoked.
    GET  /bulletin/v1/me         → {account, display_name}
    POST /bulletin/v1/posts      {text}, 1 to 2,000 characters; other fields are ignored
         → 201 {id, url, published}. A text may be posted any number of times.
    GET  /bulletin/v1/posts?account=&since=&before=&limit=
         → {posts: [{id, url, text, published}], next, now, complete_since}
         Recent posts of an account (absent: the token's own), newest first, those published at `since` or later;
         at most `limit` (1 to 100, absent: 50). `next` is the next page's `before`, null on the last one.
         `now` is the platform's time. Posts from before `complete_since` may be missing.
    GET  /bulletin/v1/posts/{id} → {id, url, text, published}; 404 when it was never there, or was removed

The word about lost answers: a post is taken within 10 seconds of its call's arrival or not at all, and it is listed
within 5 seconds of being taken. So 15 seconds after a call was given up, a post that is not in the list will
never be (`LISTED_WITHIN_SECONDS`).

Errors: {error: {code, message}} with 400 invalid_request, 401 token_invalid, 404 not_found, 429 rate_limited (with
Retry-After, in seconds), 503 unavailable. A 4xx says that nothing was done.
"""
