"""The letters and syllables that invented words of each script are made of."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Syllables:
    """Parts of a syllable: onset, nucleus, coda."""

    onsets: list[str]
    nuclei: list[str]
    codas: list[str]
    count: tuple[int, int] = (1, 3)
    """Syllables of a word, from and to."""
    cased: bool = True


def _parts(onsets: str, nuclei: str, codas: str, count: tuple[int, int] = (1, 3)) -> Syllables:
    """Parts told with spaces between them; half of the syllables have no coda."""
    ends = codas.split()
    return Syllables(onsets.split(), nuclei.split(), [*[""] * len(ends), *ends], count)


LETTERS: dict[str, Any] = {
    "vietnamese": _parts(
        "b c ch d đ g gi h kh l m n ng nh ph qu r s t th tr v x",
        "a à á ả ã ạ ă ằ ắ ẳ ẵ ặ â ầ ấ ẩ ẫ ậ e è é ẻ ẽ ẹ ê ề ế ể ễ ệ i ì í ỉ ĩ ị o ò ó ỏ õ ọ ô ồ ố ổ ỗ ộ "
        "ơ ờ ớ ở ỡ ợ u ù ú ủ ũ ụ ư ừ ứ ử ữ ự y ỳ ý iê ươ uô oa",
        "c ch m n ng nh p t i",
        (1, 1),
    ),
    "cyrillic": _parts(
        "б в г д ж з к л м н п р с т ф х ц ч ш щ бр вл гр др кр пр ст тр сл",
        "а е ё и о у ы э ю я ой ей ий",
        "в д й к л м н р с т ть нь ст",
    ),
    "greek": _parts("β γ δ ζ θ κ λ μ ν ξ π ρ σ τ φ χ ψ κρ στ πρ τρ", "α ε η ι ο υ ω ά έ ή ί ό ύ ώ αι ει ου", "ν ρ λ ξ"),
    "arabic": "ابتثجحخدذرزسشصضطظعغفقكلمنهويةأى",
    "hebrew": "אבגדהוזחטיכלמנסעפצקרשת",
    "hiragana": "あいうえおかきくけこさしすせそたちつてとなにぬねのはひふへほまみむめもやゆよらりるれろわをん"
    "がぎぐげござじずぜぞだでどばびぶべぼぱぴぷぺぽっゃゅょ",
}
KATAKANA = (
    "アイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロワンガギグ"
    "ゲゴザジズゼゾダデドバビブベボパピプペポッャュョー"
)
HAN = (
    "的一是不了人我在有他中大来上国个到说们为子和你地出道也时年得就那要下以生会自着去之过家学对可里后小么心多天而能好都然没日于起还发成事只作当"
    "想看文无开手十用主行方又如前所本见经头面公同三已老从动两长知民样现分将外但身些与高意进把法此实回二理美点月明其种声全工己话者向情部正名定"
    "女问力机给等几很业最间新什打便位因重被走电四第门相次东政海口使教西再平真听世气信北少关并内加化由却代军产入先山五太水万市眼体别处总才场师"
    "书比住员九笑性通目报立马命张活难神数件安表原车白应路期叫死常提感金何更反合放做系计或司利受光王果亲界及今京务制解各任至清物台象记边共风战"
    "干接它许八特觉望直服毛林题建南度统色字请交爱让认算论百吃义科怎元社术结六功指思非流每青管夫连远资队跟带花快条院变联言权往展该领传近留红治"
)
"""Common characters of Chinese, by falling frequency."""
