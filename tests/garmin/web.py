"""Garmin Connect as a browser sees it: pages behind a sign-in, the import page, and the pages' own API, `gc-api`.

Facts:
- The pages redirect a browser without a session to the sign-in, which redirects it back with a ticket. A browser that
  is still signed in there comes back without a question (CAS protocol 3.6, the ticket-granting cookie).
- `gc-api` is the same API as connectapi, with the session's cookies and the header `connect-csrf-token` in place of a
  token. A request that does not come from a page of the same site gets the firewall's page.
- The import page asks for consent first. Its file input is in a shadow DOM, and its button is enabled once a file is
  chosen.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlencode

from .account import SignIn, page
from .faults import CLOUDFLARE_PAGE
from .http_types import Request, Response, html_answer, json_answer, json_error

SESSION_COOKIE = "session"


@dataclass
class Web:
    sign_in: SignIn
    clock: Callable[[], float]
    #: What a test may change.
    session_lifetime_s: float = 30 * 86_400.0
    csrf_in_meta: bool = True
    consent_given: bool = False
    import_input: str = '<input type="file" accept=".fit,.zip,.tcx,.gpx">'
    #: What a test may look at.
    consents: int = 0
    #: Session cookie -> (its CSRF token, when it ends)
    _sessions: dict[str, tuple[str, float]] = field(default_factory=dict)

    def app(self, request: Request) -> Response:
        ticket = request.query.get("ticket")
        service = f"https://{request.host}/app"
        if ticket is not None:
            if not self.sign_in.take_ticket(ticket, service):
                return html_answer(403, page("Error", "The ticket has expired."))
            return Response(302, headers=(("location", "/app/home"), *self._new_session()))
        csrf = self._csrf_of(request)
        if csrf is None:
            sso = f"https://sso.{request.host.removeprefix('connect.')}/portal/sso/en-US/sign-in"
            query = urlencode({"clientId": "GarminConnect", "service": service})
            return Response(302, headers=(("location", f"{sso}?{query}"),))
        content = self._import_page(csrf) if request.path.endswith("/import-data") else "<h1>Garmin Connect</h1>"
        meta = f'<meta name="csrf-token" content="{csrf}">' if self.csrf_in_meta else ""
        own_call = "" if self.csrf_in_meta else OWN_CALL.replace("CSRF", csrf)
        return html_answer(200, page("Garmin Connect", content + own_call).replace("<head>", f"<head>{meta}"))

    def consent(self, request: Request) -> Response:
        self.consents += 1
        self.consent_given = True
        return Response(204)

    def status(self, request: Request) -> Response:
        return json_answer(200, {"status": "ok"})

    def refusal(self, request: Request) -> Response | None:
        """The refusal of a call of `gc-api`; None if it is allowed."""
        if request.headers.get("sec-fetch-site") != "same-origin":
            return html_answer(403, CLOUDFLARE_PAGE, ("server", "cloudflare"))
        csrf = self._csrf_of(request)
        if csrf is None:
            return json_error(401, "HTTP 401 Unauthorized")
        if request.headers.get("connect-csrf-token") != csrf:
            return json_answer(403, {"message": "HTTP 403 Forbidden", "error": "ForbiddenException"})
        return None

    def end_sessions(self) -> None:
        """From now on every browser needs a new ticket."""
        self._sessions.clear()

    def change_csrf(self) -> None:
        """From now on the open pages have an outdated token."""
        self._sessions = {name: (secrets.token_hex(16), ends) for name, (_, ends) in self._sessions.items()}

    def _new_session(self) -> list[tuple[str, str]]:
        name = secrets.token_hex(16)
        self._sessions[name] = (secrets.token_hex(16), self.clock() + self.session_lifetime_s)
        lasting = f"Max-Age={round(self.session_lifetime_s)}; Path=/; Secure; HttpOnly"
        return [
            ("set-cookie", f"{SESSION_COOKIE}={name}; {lasting}"),
            ("set-cookie", f"JWT_WEB={secrets.token_hex(16)}; {lasting}"),
        ]

    def _csrf_of(self, request: Request) -> str | None:
        csrf, ends = self._sessions.get(request.cookie(SESSION_COOKIE) or "", ("", 0.0))
        return csrf if ends > self.clock() else None

    def _import_page(self, csrf: str) -> str:
        hidden = "hidden" if self.consent_given else ""
        return IMPORT_PAGE.replace("HIDDEN", hidden).replace("CSRF", csrf).replace("INPUT", self.import_input)


OWN_CALL = """<script>
fetch("/gc-api/userprofile-service/socialProfile", {headers: {"connect-csrf-token": "CSRF"}});
</script>"""

IMPORT_PAGE = """
<dialog id="consent" HIDDEN open style="position:fixed;inset:0;width:100%;height:100%">
  <p>To import data, Garmin needs your consent.</p><button id="agree">I agree</button>
</dialog>
<file-chooser></file-chooser>
<button id="import" disabled>Import Data</button>
<p id="outcome"></p>
<script>
  const button = document.querySelector("#import");
  let chosen;
  customElements.define("file-chooser", class extends HTMLElement {
    connectedCallback() {
      const root = this.attachShadow({mode: "open"});
      root.innerHTML = `INPUT`;
      const input = root.querySelector("input");
      if (input) input.onchange = event => { chosen = event.target.files[0]; button.disabled = !chosen; };
    }
  });
  const consent = document.querySelector("#consent");
  if (consent.hidden) consent.remove();
  document.querySelector("#agree")?.addEventListener("click", async () => {
    await fetch("/app/consent", {method: "POST"});
    consent.remove();
  });
  button.onclick = async () => {
    const body = new FormData();
    body.append("file", chosen, chosen.name);
    const answer = await fetch("/gc-api/upload-service/upload/.fit?from=page",
      {method: "POST", headers: {"connect-csrf-token": "CSRF"}, body});
    document.querySelector("#outcome").textContent = answer.ok ? "Imported" : "Failed";
  };
</script>"""
