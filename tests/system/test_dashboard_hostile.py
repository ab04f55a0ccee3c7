"""Mail that attacks whoever looks at it, in a real browser: nothing runs, nothing is fetched, nobody is misled."""

from __future__ import annotations

import socket
import threading
from email.header import Header
from typing import Any
from urllib.parse import quote

from e2a.web.dashboard.frames import html_frame
from e2a.web.preview import preview
from tests.support import smtpclient
from tests.support.looks import DashboardCase
from tests.system.case import NO_SERVER, mail

BOT, EVE = "bot@agents.test", "eve@evil.test"

#: HTML that becomes something else when it is parsed again, or hides in other languages; ``@``: a server.
ATTACKS = (
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=@/a onerror=alert(1)&gt;'>",
    "<form><math><mtext></form><form><mglyph><style></math><img src=@/b onerror=alert(1)>",
    "<svg></p><style><a id='</style><img src=@/c onerror=alert(1)>'>",
    "<svg><desc><![CDATA[</desc><script>alert(1)</script>]]></svg>",
    "<svg><foreignObject><iframe srcdoc='<script>alert(1)</script>'></iframe></foreignObject></svg>",
    "<svg><a xlink:href='javascript:alert(1)'><text y=20>x</text></a><set attributeName=onmouseover to=alert(1)></svg>",
    "<math href='javascript:alert(1)'>x</math><maction actiontype='statusline#@/d' xlink:href='javascript:alert(1)'>y",
    "<noscript><p title='</noscript><img src=@/e onerror=alert(1)>'>",
    "<template><img src=@/f onerror=alert(1)></template>",
    "<div><template shadowrootmode=open><script>alert(1)</script></template></div>",
    "<select><style></select><img src=@/g onerror=alert(1)></style>",
    "<textarea></textarea><img src=@/h onerror=alert(1)><title></title><script>alert(1)</script>",
    "<plaintext><img src=@/i onerror=alert(1)>",
    "<xmp></xmp><img src=@/j onerror=alert(1)>",
    "<style>@import '@/k'; @font-face { font-family: x; src: url(@/l) } * { background: url(@/m) !important }</style>",
    "<div style='position:fixed;inset:0;z-index:99999;background:url(@/n)'>Your session is over. Sign in</div>",
    "<p style='background-image:image-set(\"@/o\" 1x);list-style:url(@/p);cursor:url(@/q),auto;content:url(@/r)'>x</p>",
    "<img srcset='@/s 1x, @/t 2x' sizes=100vw loading=eager><picture><source srcset=@/u><img src=@/v></picture>",
    "<link rel='preload stylesheet dns-prefetch preconnect' as=style href=@/w><link rel=icon href=@/x>",
    "<meta http-equiv=refresh content='0;url=@/y'><meta http-equiv='Set-Cookie' content='a=b'><base href='@/z/'>",
    "<a href='data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg=='>data</a><a href='vbscript:x'>vb</a>",
    "<a href='&#x6A;avascript&colon;alert(1)'>entity</a><a href='java\tscript:x'>tab</a><a href=' javascript:x'>s</a>",
    "<a href='@/leads' target=_blank rel=opener ping=@/ping download>opener</a>",
    "<form action=@/form><input name=csrf autofocus onfocus=alert(1)><button formaction='javascript:x'>Go</button>",
    "<object data=@/object></object><embed src=@/embed><applet code=@/applet></applet>",
    "<frameset><frame src=@/frame></frameset>",
    "<video autoplay poster=@/poster><track src=@/track default></video><audio src=@/audio autoplay></audio>",
    "<table background=@/table><tr><td background=@/cell>cell</td></tr></table><bgsound src=@/bg>",
    "<body background=@/body onpageshow=alert(1)>",
    "<input type=image src=@/image><isindex action=@/isindex><keygen autofocus onfocus=alert(1)>",
    "<details open ontoggle=x><summary>s</summary></details><marquee onstart=x>m</marquee><dialog open>d</dialog>",
    "<a id=location name=body href='https://evil.test'>clobber</a><img name=getElementById><form id=parent></form>",
    "<!--><img src=@/comment onerror=alert(1)>--><!--[if IE]><img src=@/ie><![endif]--><![CDATA[<img src=@/cdata>]]>",
    "<img src='data:image/png;base64," + "A" * 50_000 + "'>" * 3,
    "<b>" * 3_000 + "deep" + "</b>" * 3_000,
)
#: What the browser's own parser makes of a cleaned document, and of that once more, against what may be in it.
_INSPECT = """documents => {
  const tags = new Set(), attributes = new Set(), links = new Set();
  for (let text of documents) for (let round = 0; round < 3; round++) {
    const parsed = new DOMParser().parseFromString(text, "text/html");
    for (const one of parsed.body.querySelectorAll("*")) {
      tags.add(one.namespaceURI.endsWith("xhtml") ? one.localName : "foreign " + one.localName);
      for (const { name, value } of one.attributes)
        name === "href" ? links.add(new URL(value, "https://own.test/").protocol) : attributes.add(name);
    }
    text = parsed.body.innerHTML;
  }
  return { tags: [...tags], attributes: [...attributes], links: [...links] };
}"""
_NEVER = {
    *(
        "script",
        "style",
        "img",
        "iframe",
        "frame",
        "form",
        "input",
        "button",
        "select",
        "textarea",
        "link",
        "meta",
        "base",
    ),
    *(
        "object",
        "embed",
        "video",
        "audio",
        "picture",
        "source",
        "track",
        "template",
        "svg",
        "math",
        "dialog",
        "noscript",
    ),
}


class Listener:
    """A server that only counts who comes."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.asked: list[bytes] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(5)
                try:
                    self.asked.append(connection.recv(200))
                except OSError:
                    self.asked.append(b"")

    def stop(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(10)


class HostileMailTests(DashboardCase):
    skip = NO_SERVER

    def setUp(self) -> None:
        super().setUp()
        self.listener = Listener()
        self.addCleanup(self.listener.stop)
        self.attacks = [attack.replace("@", self.listener.url) for attack in ATTACKS]

    def test_sanitised(self) -> None:
        """Whatever the HTML of a mail was, the browser's parser finds only text and harmless marks in what is shown,
        and so it does in what it would itself write down again; no link leads anywhere.
        """
        documents = [html_frame(preview(attack)).octets.decode() for attack in self.attacks]
        found: Any = self.page.evaluate(_INSPECT, documents)
        self.assertEqual(_NEVER & set(found["tags"]), set())
        self.assertEqual([tag for tag in found["tags"] if "foreign" in tag], [])
        self.assertEqual(set(found["attributes"]) - {"colspan", "rowspan", "start", "title"}, set())
        self.assertEqual(found["links"], [])

    def test_nothing_fetched(self) -> None:
        """A mail that tries everything at once is read without one question to another server, in its own page as in
        its frame; links in it lead nowhere, and no window is opened.
        """
        server = self.daemon().start()
        self.owner(server).agent("bot")
        head = (
            f"From: {EVE}\r\nTo: {BOT}\r\nSubject: All at once\r\nMessage-ID: <all@evil.test>\r\nMIME-Version: 1.0\r\n"
        )
        for number, attacks in enumerate((self.attacks[:16], self.attacks[16:-2], self.attacks[-2:])):
            body = "\r\n".join(f"<div>{attack}</div>" for attack in ("<p>The visible words</p>", *attacks))
            lines = "\r\n".join(body[at : at + 900] for at in range(0, len(body), 900))
            data = f"{head}Content-Type: text/html; charset=utf-8\r\nX-Number: {number}\r\n\r\n{lines}\r\n".encode()
            self.assertEqual(smtpclient.send(server.smtp_port, EVE, [BOT], data).code, 250)
        self.sign_in(server)
        opened: list[Any] = []
        self.context.on("page", lambda new: opened.append(new.url))
        dialogs: list[Any] = []
        self.page.on("dialog", lambda dialog: dialogs.append(dialog.dismiss()))
        for number in range(3):
            self.page.goto(f"{server.url}/dashboard/agents/{quote(BOT)}")
            self.page.get_by_role("link", name="All at once").nth(number).click()
            self.page.get_by_role("heading", name="Not proven").wait_for()
            frame = self.page.frame_locator("iframe.html")
            frame.get_by_text("The visible words").wait_for()
            self.page.wait_for_load_state()
            for link in frame.get_by_text("opener").all():
                link.click()
        # The page's own requests are over when the next one is answered.
        self.page.goto(f"{server.url}/dashboard")
        self.assertEqual(self.listener.asked, [])
        self.assertEqual((opened, dialogs), ([], []))

    def test_sender(self) -> None:
        """A name that turns text around, shows somebody else's address or is spelled in look-alike letters misleads
        nobody: the address stands apart from it, in its own order, and the page says what is odd.
        """
        server, page = self.daemon().start(), self.page
        self.owner(server).agent("bot")
        name = Header("ana@corp.test \u202etset.live@eve", "utf-8").encode()
        turned = mail("t@evil.test", f"{name} <{EVE}>", BOT, subject=Header("Invoice \u202egpj.exe", "utf-8").encode())
        looks = mail("l@evil.test", "Support <hello@xn--80ak6aa92e.test>", BOT, subject="Your account")
        for data in (turned, looks):
            self.assertEqual(smtpclient.send(server.smtp_port, EVE, [BOT], data).code, 250)
        self.sign_in(server)
        page.goto(f"{server.url}/dashboard/agents/{quote(BOT)}")
        page.get_by_role("link", name="Invoice gpj.exe").click()
        page.get_by_text("Its display name shows another address, ana@corp.test.").wait_for()
        page.get_by_text("characters that turn text around").wait_for()
        self.wait_title("^Invoice gpj.exe ")
        self.assertEqual(page.locator("dt:text-is('From') + dd bdi").all_inner_texts()[-1], f"<{EVE}>")
        self.assertNotRegex(page.content(), "[\u202a-\u202e\u2066-\u2069]")
        self.looks("turned")
        page.goto(f"{server.url}/dashboard/agents/{quote(BOT)}")
        page.get_by_text("hello@xn--80ak6aa92e.test").wait_for()
        page.get_by_role("link", name="Your account").click()
        page.get_by_text("show its domain as \u0430\u0440\u0440\u04cf\u0435.test").wait_for()
