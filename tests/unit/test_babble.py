"""The demo's script of syllables."""

from services.embedded.puppet.babble import viseme_triples, write_script


def test_a_script_fills_its_time_without_gaps() -> None:
    """Each sound starts where the one before ends, from the start to the asked length."""
    script = write_script(seed=3, seconds=4.0, start=2.0)

    ends = [spoken.start + spoken.seconds for spoken in script]
    assert 2.0 == script[0].start
    assert [round(end, 9) for end in ends[:-1]] == [round(s.start, 9) for s in script[1:]]
    assert 6.0 == round(ends[-1], 9)


def test_the_same_seed_says_the_same() -> None:
    """Scripts depend on nothing but their arguments."""
    assert write_script(seed=5, seconds=3.0) == write_script(seed=5, seconds=3.0)
    assert write_script(seed=5, seconds=3.0) != write_script(seed=6, seconds=3.0)


def test_an_avoided_script_shares_no_run_of_three_visemes() -> None:
    """Held-out speech cannot be learnt by heart: its order of visemes is new."""
    trained = write_script(seed=1, seconds=12.0)

    heldout = write_script(seed=2, seconds=3.0, avoid=trained)

    assert viseme_triples(heldout)
    assert viseme_triples(trained).isdisjoint(viseme_triples(heldout))
