"""How the API says no: `{"errors": [{"code", "message", "details"}]}`, and Login with Amazon in the way of OAuth."""

INVALID, UNAUTHORIZED, NOT_FOUND, QUOTA = "InvalidInput", "Unauthorized", "NotFound", "QuotaExceeded"
INTERNAL, UNAVAILABLE = "InternalFailure", "ServiceUnavailable"
MEDIA_TYPE, TOO_LARGE = "UnsupportedMediaType", "RequestTooLarge"

STATUS = {
    INVALID: 400, UNAUTHORIZED: 403, NOT_FOUND: 404, TOO_LARGE: 413, MEDIA_TYPE: 415, QUOTA: 429, INTERNAL: 500,
    UNAVAILABLE: 503,
}  # fmt: skip
OAUTH_STATUS = {"invalid_client": 401, "server_error": 500}


class Refusal(Exception):
    """The call is answered with an error, and nothing was done. `status` 0: the one that the code documents."""

    def __init__(self, code: str, message: str, details: str = "", status: int = 0) -> None:
        super().__init__(message)
        self.code, self.message, self.details = code, message, details
        self.status = status or STATUS.get(code, 400)


class OAuthRefusal(Exception):
    """Login with Amazon refuses: `{"error", "error_description"}`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message
        self.status = OAUTH_STATUS.get(code, 400)


def errors(code: str, message: str, details: str = "") -> dict[str, object]:
    """The body of a refusal."""
    return {"errors": [{"code": code, "message": message, "details": details}]}


def oauth_error(code: str, message: str) -> dict[str, object]:
    """The body of a refusal by Login with Amazon."""
    return {"error": code, "error_description": message}


def invalid(message: str) -> Refusal:
    """400 for a value that the operation does not take."""
    return Refusal(INVALID, message)
