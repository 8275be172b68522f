"""Whether a text of bytes is written in Western Europe, told by its words as Windows' code page 1252 reads them."""

import codecs
import re

LETTERS = "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖØÙÚÛÜÝÞßàáâãäåæçèéêëìíîïðñòóôõöøùúûüýþÿŠšŽžŒœŸ"
SMALL = "".join(letter for letter in LETTERS if letter.islower())
EDGES = "„“”‘’«»¿¡…–—•·"  # noqa: RUF001  letters that look alike are meant
"""Signs at the ends of words."""
UNITS = "€£¥¢°ºª²³¹µ½¼¾§©®™±×÷–·"
"""Signs beside numbers and letters of units."""
WORD = re.compile(r'[^\s,;|"]{0,40}[^\x00-\x7f\s][^\s,;|"]{0,40}')
PLAIN = re.compile(rf"[A-Za-z{LETTERS}\d.,/()'’&+_:=-]+")
MEASURE = re.compile(rf"[\d.,/()A-Za-z{UNITS}%$+-]+")
POWER_INSIDE = re.compile("[²³¹][A-Za-z]{2}")
UNKNOWN = re.compile("[\udc80-\udcff]")
"""Bytes that have no meaning in the code page."""
UPPER_INSIDE = re.compile(rf"[a-z{SMALL}][{''.join(sorted(set(LETTERS) - set(SMALL)))}]")
APOSTROPHE = re.compile(r"’[strnd\d]", re.IGNORECASE)
"""An apostrophe that begins a word: ’tis, ’90s."""
PART, MOST_PARTS, ODD = 1 << 16, 50, 0.2
"""Bytes of a block and blocks that are looked at, and the share of different words that may be odd."""
MOST_FOREIGN, FOREIGN = 2, 0.04
"""Words, and share of them, that may be names of Central Europe: in texts of its languages 6 to 44 % look like such, in
Western ones below 1 %."""
CENTRAL = re.compile(
    "[ìùÌÙ][^\\W\\d_]|[òÒ][aáeéiíoóuù]"  # ě, ů, ň: Italian has such letters at the end of a word, French only où
    "|[èÈ](?=[aeiouyáéíóúý])|[áíóúý]è|(?:^|[^aeiouy])ï|^Ï"  # č; ď, for French ï follows a vowel
    "|ø[aáíoóuúéýì]|[aáeéiíoóuú]ø[aáiíoóuúéýì]"  # ř
    "|ñ(?![aeiouáéíóúü])|[aeiouyáéíóú]æ(?=$|[aeiouáéíóúì])|æ[áéíóú]"  # ń, ć
    "|œ(?=$|[wkzjplr])|õ(?!e)|þ[ãâîi]|[ãâî]þ|[a-z]{2}º[a-z]",  # ś, ő, ţ, ş
    re.IGNORECASE,
)
"""What words of Central Europe (code page 1250) hold when they are read as Western, and those of the West do not."""
PERHAPS = re.compile("(?![cdkm]m³$)[a-z]{2,}[³¹]$")
"""An ł or ą at the end of a word, or the mark of a footnote."""
ESTONIAN, HUNGARIAN = re.compile("[äÄ]"), re.compile("[áéíóúÁÉÍÓÚ]")
"""Letters of the two languages that have õ, or what is read as such, before any letter."""
OTHERS = ("cp1252", "cp1250", "iso8859_2", "cp1251", "shift_jis", "euc_jp", "gb18030", "big5", "euc_kr", "mac_roman")


class Words:
    """The words of a text that hold a byte beyond ASCII."""

    def __init__(self) -> None:
        self.head = b""
        """The first part with such words."""
        self.signs = False
        """Whether there are bytes for which Latin-1 has neither letters nor signs."""
        self._words: dict[str, None] = {}
        self._left = MOST_PARTS

    def add(self, block: bytes) -> None:
        """Look at the next block."""
        self.signs = self.signs or re.search(rb"[\x80-\x9f]", block) is not None
        first = re.search(rb"[\x80-\xff]", block)
        if first is None or not self._left:
            return
        self._left -= 1
        start = block.rfind(b"\n", 0, first.start()) + 1
        part = block[start : start + PART]
        self.head = self.head or part
        self._words |= dict.fromkeys(WORD.findall(part.decode("cp1252", "surrogateescape")))

    @property
    def odd(self) -> str:
        """A word that is not Western, decoded with "surrogateescape"; empty where there are few such words."""
        central = self._central
        odd = [word for word in self._words if not is_western(word)] + central
        bad = any(map(UNKNOWN.search, odd)) or len(central) > max(MOST_FOREIGN, FOREIGN * len(self._words))
        return odd[0] if bad or len(odd) > ODD * len(self._words) else ""

    @property
    def doubtful(self) -> str:
        """A word that may be of Central Europe; empty where there is none."""
        perhaps = (
            word for word in self._words if PERHAPS.search(word) and not word.endswith(("km³", "cm³", "dm³", "mm³"))
        )
        return next(iter([*self._central, *perhaps]), "")

    @property
    def _central(self) -> list[str]:
        """Words that pass for Western, but hold what those of Central Europe do."""
        estonian, hungarian = (sum(map(bool, map(each.search, self._words))) for each in (ESTONIAN, HUNGARIAN))
        found = [word for word in self._words if is_western(word) and is_central(word)]
        return [word for word in found if estonian <= hungarian or "õ" not in word.lower()]


def is_western(word: str) -> bool:
    """Return True for a word that a language of Western Europe may have, a number with a unit, and signs."""
    core = word.strip(EDGES + "'.!?:()[]{}-/")
    plain = len(re.findall("[A-Za-z0-9]", core))
    further = sum(letter in LETTERS for letter in core)
    if UNKNOWN.search(word) or (word[0] == "’" and not APOSTROPHE.match(word)):
        return False
    if not plain and not further:
        return len(set(core or word)) == 1
    if plain and not further and MEASURE.fullmatch(core):
        return not POWER_INSIDE.search(core)
    if not PLAIN.fullmatch(core) or UPPER_INSIDE.search(core):
        return False
    return further <= 2 * plain or len(core) == 1


def is_central(word: str) -> bool:
    """Return whether a word that passes for Western is rather one of Central Europe."""
    core = word.strip(EDGES + "'.!?:()[]{}-/")
    return any(map(CENTRAL.search, core.split("-")))


def readings(word: str, head: bytes) -> dict[str, str]:
    """Return the encodings that the beginning of a text may be of, and how each of them reads a word of it."""
    found = {}
    for name in OTHERS:
        try:
            codecs.getincrementaldecoder(name)().decode(head)
        except UnicodeDecodeError:
            continue
        found[name] = word.encode("cp1252", "surrogateescape").decode(name, "replace")
    return found
