"""The HTML of the consent page. No scripts, nothing loaded from elsewhere."""

from collections.abc import Iterable
from html import escape

from sandbox.html import page
from sandbox.tiktok.people import Creator

_SCOPE_WORDS = {
    "user.info.basic": "Read your name and picture",
    "user.info.profile": "Read your profile: biography, username, link",
    "user.info.stats": "Read your counts of followers, likes and videos",
    "video.list": "Read your public videos",
    "video.publish": "Post videos to your profile",
    "video.upload": "Put drafts into your inbox",
}


def consent_page(creators: Iterable[Creator], scopes: Iterable[str]) -> str:
    """The page on which a person picks a creator and allows or denies. The form goes to the address of the page."""
    people = "".join(
        f'<label><input type="radio" name="creator" value="{escape(one.username)}"{" checked" if not number else ""}> '
        f"{escape(one.nickname)} <small>@{escape(one.username)}{', private' if one.private else ''}</small></label>"
        for number, one in enumerate(creators)
    )
    wishes = "".join(
        f'<label><input type="checkbox" name="scopes" value="{escape(scope)}" checked> '
        f"{escape(_SCOPE_WORDS.get(scope, scope))} <small>{escape(scope)}</small></label>"
        for scope in scopes
    )
    return page(
        "Connect an account",
        '<p>An app asks for access. This is the sandbox: no real account is involved.</p><form method="post">'
        f"<fieldset><legend>Sign in as</legend>{people}</fieldset>"
        # The empty scope tells a page with no box ticked from a script that names no scopes.
        f'<fieldset><legend>The app may</legend><input type="hidden" name="scopes" value="">{wishes}</fieldset><p>'
        '<button class="yes" name="decision" value="allow">Allow</button>'
        '<button name="decision" value="deny">Deny</button></p></form>',
    )


def problem_page(sentence: str) -> str:
    """The page for a request that cannot be answered to the app."""
    return page("This request cannot be shown", f"<p>{escape(sentence)}</p>")
