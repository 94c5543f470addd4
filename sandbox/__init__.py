"""Stand-ins for the platforms' public APIs, to train, evaluate and test with before a platform admits an app.

One HTTP server plays every platform: each is one package here (`sandbox/tiktok`) that implements `vendor.Vendor` and
shares the clock, the faults, the call log, the webhook sender and the control API. Nothing of this is needed by, or
imports, any service.
"""
