"""A mail server with STARTTLS and AUTH that prints what it takes, for the tests of mail."""
import asyncio
import email
import email.policy
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

USER, PASSWORD = (argument.encode() for argument in sys.argv[1:])


def authenticate(server, session, envelope, mechanism, login):
    session.user = login.login.decode()
    known = (login.login, login.password) == (USER, PASSWORD)
    return AuthResult(success=known, handled=False)


class Printer:
    async def handle_DATA(self, server, session, envelope):
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        parts = [part.get_content_type() for part in mail.walk()]
        assert parts == ["multipart/alternative", "text/plain", "text/html"], parts
        print(f"Subject: {mail['Subject']} TLS={session.ssl is not None} user={session.user}")
        return "250 2.0.0 queued"


async def main():
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain("cert.pem", "key.pem")
    session = lambda: SMTP(
        Printer(),
        tls_context=tls,
        require_starttls=True,
        auth_required=True,
        authenticator=authenticate,
    )
    server = await asyncio.get_running_loop().create_server(session, "127.0.0.1", 0)
    print("listening at", server.sockets[0].getsockname()[1])
    await server.serve_forever()


asyncio.run(main())
