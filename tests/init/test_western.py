"""Words of Western Europe are told from those of other encodings that Windows' code page 1252 reads as nonsense."""

import pytest

from mtl_cli.init.western import WORD, Words, is_central, is_western, readings

WESTERN = (
    "Größe Müller José André Frédéric été élève âgé créé où né à é ö Öl Über ÜBERGRÖSSE Straße Æble Øl smørrebrød år "
    "Åse año niño ¿Qué ¡Hola! “Hello” it’s don’t ’tis l’été d’Été rock’n’roll 5€ €5 € 20°C °C m² km² µg 10–20 – … "
    "„Hallo“ »Ja« «Oui» naïve København Ísland não São pão à-côté 1º 2ª ½ £20 Šef žena œuvre cœur ™ Produkt® © (é) "
    "D’Ávila N° n°5 École ÉCOLE Ærø"
)
OTHERS = {
    "shift_jis": "東京 大阪 犬 男 女 はい いいえ テスト トラック 赤 青 りんご バナナ 値段 色 高 低 ア",
    "euc_jp": "東京 大阪 名古屋 犬 猫 男 はい いいえ テスト トラック 赤 青 りんご バナナ",
    "gb18030": "价格 颜色 红 蓝 上海 是 好 男 女",
    "big5": "價格 顏色 紅 藍 台北 高雄 是 否 好 男 女",
    "euc_kr": "빨강 서울 부산 아니오 좋음 나쁨",
    "cp1251": "цена цвет красный да нет Москва кот собака",
    "koi8-r": "цена цвет красный да нет Москва кот собака",
    "cp1253": "τιμή χρώμα κόκκινο ναι όχι",  # noqa: RUF001
    "cp1256": "سعر لون نعم لا",
    "mac_roman": "été Größe José café",
}


LANGUAGES = (
    "mère très forêt où août goût brûler naïf maïs Zaïre ambiguïté sœur œil fœtus poème Noël crème deuxième è caffè "
    "perché però più virtù così cambiò creò città señor mañana corazón Núñez ñandú São ações põe milhões irmã køer "
    "søen høyre træ knæ bøye høy gjøre Tromsø går Örebro góður sæll Þór þeir català això één coördinaat ruïne hyvää"
)
"""Words of the West whose letters come in other places in Central Europe."""
CENTRAL = {
    "Czech": "Příliš kůň město Dvořák Černý Jiří Zdeněk Děčín čas člověk klíč zelená žena ano",
    "Polish": "Zażółć Łódź Kraków Wrocław Poznań Gdańsk mężczyzna Małgorzata Stanisław środa mieć jesteś kobieta",
    "Hungarian": "Árvíztűrő Győr Székesfehérvár férfi nő Pécs Erdősi idő hétfő",
    "Croatian": "Petrović Kovačić kuća čovjek žena noć",
    "Romanian": "viaţă toţi casă Bucureşti",
}


@pytest.mark.parametrize("word", [*WESTERN.split(), *LANGUAGES.split()])
def test_no_western_word_passes_for_one_of_central_europe(word):
    assert is_western(word)
    assert not is_central(word)


@pytest.mark.parametrize("language", CENTRAL)
def test_words_of_central_europe_are_odd_and_a_few_among_many_are_doubtful(language):
    words = Words()
    words.add(CENTRAL[language].encode("cp1250"))
    assert readings(words.odd, words.head)["cp1250"] in CENTRAL[language].split()
    assert not Words().doubtful
    few = Words()
    few.add(f"{WESTERN} {LANGUAGES}".encode("cp1252") + b" " + "Dvořák Győr".encode("cp1250"))
    assert few.odd == ""
    assert readings(few.doubtful, few.head)["cp1250"] == "Dvořák"


def test_estonian_is_western():
    words = Words()
    words.add("õhtu sõna kõik käsi ära Põltsamaa".encode("cp1252"))
    assert not words.odd
    assert not words.doubtful


@pytest.mark.parametrize("encoding", OTHERS)
def test_each_short_word_of_another_encoding_is_odd(encoding):
    for word in OTHERS[encoding].split():
        words = Words()
        words.add(f"1,{word}\n".encode(encoding))
        assert words.odd, word
        assert readings(words.odd, words.head).get(encoding, word) == word


def test_a_few_odd_words_among_many_are_typing_errors():
    words = Words()
    words.add(f"{WESTERN} ³x ¬foo".encode("cp1252"))
    assert words.odd == ""
    assert words.signs


def test_a_long_text_without_ends_of_words_takes_no_time():
    assert len(WORD.findall("a" * 200_000 + "é")) == 1
