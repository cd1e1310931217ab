"""Three hundred passages about made-up islands, and questions with one right passage each.

Every place occurs in five passages and every topic in sixty, so that a question shares words with
many passages and both of its key words with one.
"""

from dataclasses import dataclass

PLACES = [
    *("Aldra", "Borke", "Calsay", "Dunreek", "Elmsay", "Farholm", "Gorsay", "Hesker", "Inchray"),
    *("Jorsay", "Keldra", "Lunga", "Mosken", "Norsay", "Ostra", "Pladda", "Quendale", "Ronsay"),
    *("Skarva", "Tiree", "Ulsta", "Vementry", "Wiay", "Yelsay", "Zetland", "Arnish", "Brenish"),
    *("Colsay", "Daliburgh", "Ensay", "Flodday", "Grimsay", "Haskeir", "Isbister", "Jura"),
    *("Killegray", "Lamba", "Mingulay", "Nibon", "Oronsay", "Papa", "Quarff", "Rusk", "Scarp"),
    *("Taransay", "Uyea", "Vaila", "Wyre", "Yell", "Ascrib", "Balta", "Cava", "Dorholm", "Eday"),
    *("Fara", "Gairsay", "Hunda", "Inner", "Kerrera", "Linga"),
]
_TOPICS = {
    "lighthouse": "The lighthouse of {place} was lit in {year}. It stands {number} metres above "
    "the sea, and its keeper reads the barometer every morning.",
    "ferry": "The ferry to {place} has sailed since {year}. It carries {number} passengers, "
    "some sheep, and the mail.",
    "bakery": "The bakery of {place} opened in {year}. It bakes {number} loaves of oat bread "
    "before the shops open.",
    "bridge": "The bridge at {place} was built in {year} of grey granite. Its {number} arches "
    "have withstood every flood.",
    "school": "The school of {place} dates from {year}. Its {number} pupils learn to row before "
    "they learn to write.",
}
QUESTIONS_OF = {
    "lighthouse": "When was the lighthouse of {place} lit?",
    "ferry": "Since when has the ferry to {place} sailed?",
    "bakery": "When did the bakery of {place} open?",
    "bridge": "How many arches has the bridge at {place}?",
    "school": "How many pupils has the school of {place}?",
}


@dataclass(frozen=True)
class Passage:
    """A passage with what is known of it."""

    text: str
    topic: str
    place: str
    year: int

    @property
    def key(self) -> str:
        return f"{self.topic}-{self.place}"

    @property
    def facts(self) -> dict[str, str | int]:
        """Its metadata, as vector stores take them."""
        return {"topic": self.topic, "place": self.place, "year": self.year}

    @property
    def question(self) -> str:
        return QUESTIONS_OF[self.topic].format(place=self.place)


def _passage(topic: str, at: int, place: str) -> Passage:
    year = 1700 + (37 * at + 11 * list(_TOPICS).index(topic)) % 300
    text = _TOPICS[topic].format(place=place, year=year, number=3 + at)
    return Passage(text, topic, place, year)


PASSAGES = [_passage(topic, at, place) for topic in _TOPICS for at, place in enumerate(PLACES)]
# Of each topic and many places.
ASKED = PASSAGES[::7]
