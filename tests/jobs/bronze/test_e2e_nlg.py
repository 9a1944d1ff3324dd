"""Bronze restaurant descriptions."""

from __future__ import annotations

from typing import Any


def test_meanings_sentences_and_the_split_of_a_file(bronze: Any) -> None:
    data = b'mr,ref\n"name[Aromi], area[city centre]","Aromi, in the centre."\nname[Aromi],"It is called ""Aromi"".\nReally."\n'
    rows = bronze("e2e_nlg", {"devset.csv": data, "extra.csv": data.splitlines(keepends=True)[0], "trainset.csv": data})
    assert [(r.split, r.meaning, r.text) for r in rows] == [
        ("validation", "name[Aromi], area[city centre]", "Aromi, in the centre."),
        ("validation", "name[Aromi]", 'It is called "Aromi".\nReally.'),
        ("train", "name[Aromi], area[city centre]", "Aromi, in the centre."),
        ("train", "name[Aromi]", 'It is called "Aromi".\nReally.'),
    ]
