"""Calendars as files: what people, spreadsheets and other tools write, understood row by row; and written again.

Pure: no network, no database, the clock is an argument. `reading.read` makes entries of a file of any format,
`resolving.Resolver` finds the accounts, media and products that they name, `writing` makes files of posts.

Whatever is certain is taken; whatever would have to be guessed is refused, with what would be accepted. Text is never
repaired: only line breaks inside of a cell become a plain line feed.
"""
