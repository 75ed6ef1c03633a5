# SPDX-License-Identifier: Apache-2.0
"""Hostile texts, and objects with one in each field that their schema lets it into."""

import copy

from pydantic import ValidationError

KEPT = {"metadata", "apiVersion", "kind", "requestRef", "intentRef"}
"""What objects are found by."""


BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
"""Characters that turn round how a text is read."""

UNSEEN = {*BIDI, "\u200b", "\u2060", "\ufeff", "\u00ad", "\x7f", "\x1b"}
"""Characters that nobody sees, of those below."""

SHAPES = (
    "<script>{}</script>", "\u202e</textarea><script>{}</script>\u202c", "'><img src=x onerror={}>",
    "\u2066javascript:{}\u2069", "\"><script>{}</script>", "</title><script>{}</script>",
    "' autofocus onfocus={} x='", "<iframe srcdoc='<script>{}</script>'>", "javascript:{}",
    "<div hx-get=/ hx-trigger='load[{}]'></div>", "https://x/<script>{}</script>",
    "https://shop.example\u202emoc.elpmaxe@x/{}",
    # The short form ends here.
    "<svg/onload={}>", "\" onmouseover={} x=\"", "<a href=javascript:{}>x</a>",
    "<math><mtext><script>{}</script>", "{{{{ {} }}}}", "{{% if {} %}}x{{% endif %}}",
    "<details open ontoggle={}>", "<body onload={}>", "<style>*{{background:url(x)}}</style>{}",
    "<div hx-on:load={}></div>", "<div hx-vals='js:{{a:{}}}' hx-get=/ hx-trigger=load></div>",
    "<base href=https://x/><script src=a.js></script>{}", "<object data=javascript:{}></object>",
    "<embed src=javascript:{}>", "<link rel=stylesheet href=https://x/{}>",
    "<meta http-equiv=refresh content='0;url=javascript:{}'>", "<button formaction=javascript:{}>",
    "<form action=https://x/ id=f><input name=form_token form=f>{}", "<input autofocus onfocus={}>",
    "<svg><animate onbegin={} attributeName=x dur=1s></svg>", "<svg><script href=data:,{} /></svg>",
    "<svg><a xlink:href=javascript:{}><text y=9>x</text></a></svg>", "--><script>{}</script>",
    "<template><script>{}</script></template>", "<noscript><p title='</noscript><script>{}//'>",
    "]]><script>{}</script>", "`-{}-`", "'-{}-'", "\\\";{}//", "</script><script>{}</script>",
    "JaVaScRiPt:{}", "data:text/html,<script>{}</script>", "vbscript:{}", "//x/{}",
    "http://x/' onclick='{}", "https://x\\@javascript:{}", "https://[x]/<script>{}</script>",
    "&lt;script&gt;{}&lt;/script&gt;", "&#60;script&#62;{}&#60;/script&#62;",
    "%3Cscript%3E{}%3C/script%3E", "\uff1cscript\uff1e{}\uff1c/script\uff1e",
    "<scr\u200bipt>{}</scr\u200bipt>", "\u2067<script>{}</script>\u2069", "\u202dapproved {}",
    "\u200f{}\u200e", "\ufeff<script>{}</script>", "java\u00adscript:{}", "<sc\u2060ript>{}",
    "x\x1b]8;;javascript:{}", "<script\x7f>{}</script>",
)  # fmt: skip
"""Shapes of hostile texts: what is to run stands at the braces."""


def texts(number):
    """So many hostile texts, each of which sets `window.ran` to a number of its own."""
    return [SHAPES[each % len(SHAPES)].format(f"window.ran={each + 1}") for each in range(number)]


def fields_for(obj, model, text):
    """The paths of the fields of an object that its model takes a text in, all at once."""
    made, found = copy.deepcopy(obj), []
    for path in list(_texts(made)):
        before = _put(made, path, text)
        try:
            model.model_validate(made)
        except ValidationError:
            _put(made, path, before)
        else:
            found.append(path)
    return found


def filled(obj, paths, text):
    """An object with a text at some paths."""
    made = copy.deepcopy(obj)
    for path in paths:
        _put(made, path, text)
    return made


def _texts(value, path=()):
    if isinstance(value, str):
        yield path
    items = value.items() if isinstance(value, dict) else ()
    items = enumerate(value) if isinstance(value, list) else items
    for key, each in items:
        if key not in KEPT:
            yield from _texts(each, (*path, key))


def _put(obj, path, text):
    """Put a text there; what was there before."""
    *way, last = path
    for key in way:
        obj = obj[key]
    before, obj[last] = obj[last], text
    return before
