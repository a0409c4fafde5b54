"""On which terms weights may be passed on: a typed fact for each source that they can have learned from."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Terms:
    """What is known of the terms of a source.

    Attributes:
        name: for readers.
        research_only: True, False, or None where nobody here knows.
        licence: of the Hub's list of licences, for weights that learned from this source alone.
        link: page of the terms; empty where there is none.
        hub_id: of the data set on the Hub, where its terms allow one; empty where there is none.
    """

    name: str
    research_only: bool | None
    licence: str = "other"
    link: str = ""
    hub_id: str = ""


# Read off the files of the sources, which state them in words; a source that is not here counts as unknown.
_3DDFA = "http://www.cbsr.ia.ac.cn/users/xiangyuzhu/projects/3DDFA/main.htm"
KNOWN = {
    "drawn": Terms("faces drawn by code", False, "apache-2.0"),
    "drawn_clips": Terms("clips of faces drawn by code", False, "apache-2.0"),
    "fer2013": Terms(
        "FER2013",
        True,
        link="https://www.kaggle.com/c/challenges-in-representation-learning-facial-expression-recognition-challenge",
    ),
    "affectnet": Terms("AffectNet", True, link="https://www.mohammadmahoor.com/affectnet"),
    "aff_wild": Terms("Aff-Wild", True, link="https://ibug.doc.ic.ac.uk/resources/first-affect-wild-challenge/"),
    "afew_va": Terms("AFEW-VA", True, link="https://ibug.doc.ic.ac.uk/resources/afew-va-database/"),
    "aflw2000": Terms("AFLW2000-3D", True, link=_3DDFA),
    "ckplus": Terms("CK+", True, link="https://www.jeffcohn.net/Resources/"),
    "fairface": Terms(
        "FairFace", False, "cc-by-4.0", link="https://github.com/joojs/fairface", hub_id="HuggingFaceM4/FairFace"
    ),
    "ferplus": Terms("FER+", True, link="https://github.com/microsoft/FERPlus"),
    "jaffe": Terms("JAFFE", True, link="https://zenodo.org/records/3451524"),
    "rafdb": Terms("RAF-DB", True, link="http://www.whdeng.cn/RAF/model1.html"),
    "the300w_lp": Terms("300W-LP", True, link=_3DDFA),
    "clips": Terms("data of whoever trained it", None),
    "custom": Terms("data of whoever trained it", None),
}


def terms_of(sources: Iterable[str]) -> list[Terms]:
    """The terms of sources by their names."""
    return [KNOWN.get(name, Terms(name, None)) for name in sources]


def restricted(sources: Iterable[str]) -> list[Terms]:
    """Those that are for research only or unknown."""
    return [terms for terms in terms_of(sources) if terms.research_only is not False]


def gating(sources: Iterable[str]) -> dict:
    """The fields of a card's header that the Hub shows before it gives out files; none for weights that are free."""
    research = [terms for terms in terms_of(sources) if terms.research_only]
    if not research:
        return {}
    names = " and ".join(terms.name for terms in research)
    return {
        "extra_gated_prompt": f"These weights learned from {names}, whose terms allow research only.",
        "extra_gated_fields": {
            "Affiliation": "text",
            "Purpose": "text",
            f"I have read the terms of {names} and use these weights for non-commercial research only": "checkbox",
            "I will not infer the emotions of people at work or in education (EU AI Act, Article 5)": "checkbox",
        },
    }
