"""Who looks at the page: one cookie per browser, one person per cookie."""

from starlette.requests import HTTPConnection
from starlette.responses import Response

from infra.local.slack.workspace import User, Workspace

COOKIE = "local_slack_session"


class Sessions:
    """Sessions in memory. A browser without one is given the first person of the workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._users: dict[str, str] = {}

    def open(self, user: User) -> str:
        """A new session for this person, as the cookie's value."""
        secret = self._workspace.ids.secret()
        self._users[secret] = user.id
        return secret

    def user_of(self, connection: HTTPConnection) -> User | None:
        user_id = self._users.get(connection.cookies.get(COOKIE, ""))
        return None if user_id is None else self._workspace.users[user_id]

    def greet(self, connection: HTTPConnection, response: Response) -> Response:
        """Give a browser that has no session one, on this response."""
        if self.user_of(connection) is None:
            secret = self.open(self._workspace.people[0])
            response.set_cookie(COOKIE, secret, httponly=True, samesite="strict")
        return response
