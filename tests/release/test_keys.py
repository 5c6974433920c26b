"""Keys and what is drawn from them: against the hmac module, over many texts, and with files of every fault."""

import hashlib
import hmac
import os
import stat
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skagile.release._keys import PSEUDONYM, day_shift, new_key, pseudonym, read_key, seed_of
from skagile.release._terms import LEAST, TermCollector
from skagile.release._text import dates_of

KEY, OTHER = bytes(range(32)), bytes(range(1, 33))


# --------------------------------------------------------------------------------------------------------------- files


def test_a_new_key_is_its_owners_alone_and_read_again(tmp_path):
    before = os.umask(0)
    try:
        key = new_key(tmp_path / "key")
    finally:
        os.umask(before)
    assert len(key) == 32
    assert (tmp_path / "key").read_text() == key.hex() + "\n"
    assert read_key(tmp_path / "key") == key != new_key(tmp_path / "other")
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600


def test_no_key_is_written_over(tmp_path):
    key = new_key(tmp_path / "key")
    with pytest.raises(FileExistsError, match="never written over"):
        new_key(tmp_path / "key")
    assert read_key(tmp_path / "key") == key
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileExistsError):
        new_key(tmp_path / "link")
    assert not (tmp_path / "nowhere").exists()


def test_a_full_disk_leaves_no_half_key(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        new_key(tmp_path / "key")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", [KEY.hex(), KEY.hex().upper(), f"  {KEY.hex()}\r\n"])
def test_keys_as_editors_save_them(tmp_path, text):
    (tmp_path / "key").write_bytes(text.encode())
    (tmp_path / "key").chmod(0o600)
    assert read_key(tmp_path / "key") == KEY


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (KEY[:31].hex().encode(), "31 bytes; expected at least 32"),
        (b"", "0 bytes"),
        (KEY.hex()[:-1].encode(), "pairs of hexadecimal digits"),
        (b"-----BEGIN OPENSSH PRIVATE KEY-----", "hexadecimal"),
        (KEY, "hexadecimal"),
        (b"\xff\xfe" + KEY.hex().encode("utf-16-le"), "hexadecimal"),
        (b"00" * 32, "same few bytes"),
        (b"ab" * 10_000, "more than 4096 bytes"),
    ],
)
def test_files_that_hold_no_key(tmp_path, content, told):
    path = tmp_path / "key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(ValueError, match=told) as error:
        read_key(path)
    # Logs travel: the error shows nothing of what may be most of a key.
    assert KEY.hex()[:8] not in str(error.value)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o666, 0o610])
def test_a_key_that_others_can_read(tmp_path, mode):
    new_key(tmp_path / "key")
    (tmp_path / "key").chmod(mode)
    with pytest.raises(ValueError, match="chmod 600"):
        read_key(tmp_path / "key")


def test_no_key_at_all(tmp_path):
    with pytest.raises(ValueError, match="is a folder"):
        read_key(tmp_path)
    with pytest.raises(FileNotFoundError, match="no key file"):
        read_key(tmp_path / "nothing")


def test_a_pipe_does_not_hold_the_job(tmp_path):
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(ValueError, match="no plain file"):
        read_key(tmp_path / "pipe")


# ----------------------------------------------------------------------------------------------------------- pseudonyms


def test_pseudonyms_are_hmac():
    message = b"skagile\0pseudonym of a subject\0%d\0Doe"
    digests = [hmac.new(KEY, message % block, hashlib.sha256).digest() for block in (0, 1)]
    number, expected = int.from_bytes(b"".join(digests), "big"), ""
    for place in range(16):
        alphabet = "0123456789" if place % 4 == 3 else "bcdfghjklmnpqrstvwxz"
        expected += alphabet[number % len(alphabet)]
        number //= len(alphabet)
    assert pseudonym(KEY, "subject", "Doe") == expected
    # Releases of before must be found again: this never changes.
    assert expected == "dhr4sbm4vdk7fbg7"
    assert (seed_of(KEY, "Doe"), day_shift(KEY, "Doe")) == (158207925036333449592400626496745970146, 52146)


@given(st.text(), st.sampled_from(["subject", "record", "session"]), st.integers(8, 64))
def test_any_text_has_a_pseudonym(text, kind, length):
    name = pseudonym(KEY, kind, text, length)
    assert len(name) == length
    assert PSEUDONYM.fullmatch(name)
    assert name[0].isalpha()
    assert name == pseudonym(KEY, kind, text, length) != pseudonym(OTHER, kind, text, length)


@pytest.mark.parametrize(
    "text", ["4711", "Anna", "bcd", "bcd12", "20191231", "b", "bcd1fgh", "bcd1fghi", "", "bcd1fgh2\n"]
)
def test_what_is_no_pseudonym(text):
    assert not PSEUDONYM.fullmatch(text)


def test_pseudonyms_differ_and_show_nothing_of_the_name():
    texts = [f"patient{i}" for i in range(20_000)]
    names = [pseudonym(KEY, "record", text) for text in texts]
    assert len(set(names)) == len(names)
    assert not set(names) & {pseudonym(KEY, "subject", text) for text in texts}
    assert not set(names) & {pseudonym(OTHER, "record", text) for text in texts}
    # Uniform: each of 20 letters at each of their places, within five standard deviations.
    letters = np.array([list(name) for name in names])
    for place in (0, 1, 2, 4, 14):
        counts = np.unique(letters[:, place], return_counts=True)[1]
        assert len(counts) == 20
        assert (np.abs(counts - 1000) < 5 * np.sqrt(1000)).all()


def test_no_pseudonym_holds_a_name_a_number_or_a_date():
    """As the scan takes file names apart: nothing of four letters or digits is left, and no date."""
    collector = TermCollector()
    for name in ("Anna", "Bert", "1234", "2024"):
        collector.add_name(name)
        collector.add_identifier(name)
    terms = collector.terms()
    for i in range(2_000):
        name = pseudonym(KEY, "record", str(i), 64)
        runs = [name[start:stop] for start, stop in pairwise([0, *range(3, 64, 4), 64])]
        assert max(len(run.strip("0123456789")) for run in runs) < LEAST
        assert not list(dates_of(name))
        assert not terms.may_be_in(name)


def test_names_that_file_systems_change_are_one():
    assert pseudonym(KEY, "subject", "M\u00fcller") == pseudonym(KEY, "subject", "Mu\u0308ller")
    assert pseudonym(KEY, "subject", "a\udcff") != pseudonym(KEY, "subject", "a\udcfe")  # bytes that are no UTF-8


@pytest.mark.parametrize("length", [7, 65, 0, 12.5])
def test_lengths(length):
    with pytest.raises(ValueError, match="length="):
        pseudonym(KEY, "subject", "Doe", length)


@pytest.mark.parametrize("key", [b"", KEY[:31], KEY.hex(), None])
def test_a_short_key_draws_nothing(key):
    for draw in (lambda: pseudonym(key, "subject", "Doe"), lambda: seed_of(key, "Doe"), lambda: day_shift(key, "Doe")):
        with pytest.raises(ValueError, match="key: expected at least 32 bytes"):
            draw()


# ----------------------------------------------------------------------------------------------------- seeds and shifts


def test_seeds_are_hmac_and_differ():
    digest = hmac.new(KEY, b"skagile\0seed\x000\0Doe", hashlib.sha256).digest()
    assert seed_of(KEY, "Doe") == int.from_bytes(digest[:16], "big") < 1 << 128
    assert len({seed_of(KEY, str(i)) for i in range(1000)} | {seed_of(OTHER, str(i)) for i in range(1000)}) == 2000
    np.random.default_rng(np.random.SeedSequence(seed_of(KEY, "Doe")))


def test_shifts_are_uniform_days_in_the_far_future():
    shifts = np.array([day_shift(KEY, str(i)) for i in range(20_000)])
    assert shifts.min() >= 36_525
    assert shifts.max() < 73_050
    assert (shifts == [day_shift(KEY, str(i)) for i in range(20_000)]).all()
    assert (shifts[:100] != [day_shift(OTHER, str(i)) for i in range(100)]).any()
    # Neither weekday nor season stays: all remainders are there, as often.
    for n_values, values in ((7, shifts % 7), (12, (shifts % 365.2425) // 30.44), (10, (shifts - 36_525) // 3652.5)):
        counts = np.bincount(values.astype(int), minlength=n_values)[:n_values]
        expected = 20_000 / n_values
        assert (np.abs(counts - expected) < 5 * np.sqrt(expected) + expected * 0.01).all()
