"""Word lists that several corpus modules draw from."""

from __future__ import annotations


def _words(text: str) -> list[str]:
    return text.split()


def _entries(text: str) -> list[str]:
    return text.split("|")


NAMES = _words(
    "Anna Ben Clara David Emma Felix Grace Henry Ida Jack Kate Leo Maria Noah Olga Paul Rosa Sam Tina "
    "Victor Alice Bob Carol Dan Eve Frank Gina Hugo Iris Jonas Karl Lena Max Nina Oscar Petra Quinn Ruth "
    "Simon Tom Ursula Vera Will Xenia Yara Zoe Pedro Luis Ines Marta Ravi Mei Yuki Omar Layla Ali Sofia "
    "Marco Lucia"
)

CAPITALS: dict[str, str] = {
    "France": "Paris",
    "Germany": "Berlin",
    "Italy": "Rome",
    "Spain": "Madrid",
    "Portugal": "Lisbon",
    "Peru": "Lima",
    "Japan": "Tokyo",
    "China": "Beijing",
    "Austria": "Vienna",
    "Greece": "Athens",
    "Poland": "Warsaw",
    "Norway": "Oslo",
    "Sweden": "Stockholm",
    "Denmark": "Copenhagen",
    "Finland": "Helsinki",
    "Ireland": "Dublin",
    "Egypt": "Cairo",
    "Kenya": "Nairobi",
    "Canada": "Ottawa",
    "Cuba": "Havana",
    "Chile": "Santiago",
    "Hungary": "Budapest",
    "Belgium": "Brussels",
    "Russia": "Moscow",
    "Turkey": "Ankara",
    "England": "London",
    "Bolivia": "Sucre",
    "Ecuador": "Quito",
    "India": "New Delhi",
    "Switzerland": "Bern",
}

COLOURS: dict[str, str] = {
    "the sky": "blue",
    "grass": "green",
    "snow": "white",
    "coal": "black",
    "blood": "red",
    "a banana": "yellow",
    "a lemon": "yellow",
    "milk": "white",
    "a tomato": "red",
    "a carrot": "orange",
    "an orange": "orange",
    "chocolate": "brown",
    "the sun": "yellow",
    "a frog": "green",
    "a crow": "black",
    "the sea": "blue",
    "a flamingo": "pink",
    "an elephant": "grey",
    "a strawberry": "red",
    "a plum": "purple",
    "cotton": "white",
    "a leaf": "green",
    "earth": "brown",
    "a pig": "pink",
}

OPPOSITES: dict[str, str] = {
    "hot": "cold",
    "big": "small",
    "up": "down",
    "day": "night",
    "fast": "slow",
    "old": "young",
    "good": "bad",
    "left": "right",
    "open": "closed",
    "light": "dark",
    "happy": "sad",
    "full": "empty",
    "hard": "soft",
    "long": "short",
    "rich": "poor",
    "wet": "dry",
    "high": "low",
    "early": "late",
    "black": "white",
}

SOUNDS: dict[str, str] = {
    "dog": "woof",
    "cat": "meow",
    "cow": "moo",
    "sheep": "baa",
    "duck": "quack",
    "horse": "neigh",
    "pig": "oink",
    "lion": "roar",
    "llama": "hmm",
    "bee": "buzz",
    "owl": "hoo",
    "frog": "croak",
}

CITIES = _entries(
    "Paris|Berlin|Rome|Madrid|Lisbon|Lima|Tokyo|Vienna|Athens|Oslo|Dublin|Cairo|London|New York|Boston|"
    "Chicago|Toronto|Sydney|Mumbai|Seoul|Hamburg|Munich|Zurich|Geneva|Milan|Naples|Porto|Seville|Lyon|"
    "Nice|Prague|Warsaw|Helsinki|San Francisco|Los Angeles|Seattle|Denver|Cusco|Bogota|Quito|Singapore|"
    "Bangkok|Nairobi|Delhi|Beijing|Shanghai|Moscow|Stockholm|Copenhagen|Amsterdam|Brussels|Budapest|"
    "Istanbul|Santiago|Havana|Austin"
)

TOPICS = _entries(
    "the radio|the telephone|quantum physics|football|chess|the train|gold|coffee|tea|the moon landing|"
    "jazz|opera|electricity|the steam engine|paper|silk|glass|the internet|robots|space travel|"
    "black holes|gravity|poetry|painting|cheese|wine|bread|pasta|history|economics|law|medicine|vaccines|"
    "bridges|ships|aircraft|bicycles|politics|elections|the stock market|tennis|baseball|music|guitars|"
    "pianos|computers|databases|compilers"
)

THINGS = _words(
    "apples pears books coins stones eggs hats balls cups pens flowers shells keys cards carrots cookies stamps buttons"
)

WORDS = _words(
    "apple river stone window garden yellow music table cloud horse saddle ranch lasso canyon prairie "
    "mountain valley winter summer candle bridge forest island planet rocket silver copper velvet pepper "
    "orange purple monkey tiger rabbit turtle banana cherry lemon button carpet mirror pencil ticket "
    "market harbor lantern"
)

SYLLABLES = _words("ba be bo ka ke lo la mi mo na ne ra ri ro sa se ta ti to va vi zu du fe gi ho ja ku pe wa")
EMOJI = _words("🦙 🐴 🌵 🤠 🎉 🚀 🌍 🍎 🐍 🔥 ⭐ 😀 ❤️ 👍 🌧️ ☀️")

ACCENTED = _words("café naïve Zürich São Málaga Köln Straße señor über garçon Øresund Łódź привет 你好 こんにちは")
