from __future__ import annotations

import base64

import pytest

from providers.formats.base import Fetched, FormatError
from providers.formats.capabilities import capabilities
from providers.formats.neutral.fit.media import urls_to_fetch
from providers.formats.neutral.types import Media, Text
from tests.providers.formats.fit.made import (
    MODELS,
    assistant,
    call,
    fitted,
    request,
    result,
    results,
    user,
    words,
)

URL = "https://pictures.example/cat.png?token=secret"
HEADS = {
    "image/png": b"\x89PNG\r\n\x1a\n0000",
    "image/jpeg": b"\xff\xd8\xff\xe0000000000",
    "image/gif": b"GIF89a000000",
    "image/webp": b"RIFF0000WEBP0000",
    "image/heic": b"0000ftypheic0000",
    "application/pdf": b"%PDF-1.7 0000",
}


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def media(kind="image", source="base64", data="", media_type="", **more):
    return Media(kind=kind, source=source, data=data, media_type=media_type, **more)


def sent(part, to="anthropic", model="", *, fetched=None, dialect="openai"):
    asked = request(user(part), dialect=dialect)
    return fitted(asked, to, model, fetched=fetched).request.turns[0].parts[0]


def refused(part, to="anthropic", model="", **more):
    with pytest.raises(FormatError) as caught:
        sent(part, to, model, **more)
    return caught.value


@pytest.mark.parametrize("name", ["image/png", "image/jpeg", "image/gif", "image/webp"])
def test_t35_the_type_is_what_the_bytes_say(name):
    made = sent(media(data=b64(HEADS[name]), media_type="image/jpg"))
    assert made.media_type == name


def test_t35_a_prefix_white_space_and_another_alphabet_are_cleaned():
    plain = b64(HEADS["image/png"] + b"\xfb\xff\xfe")
    odd = plain.replace("+", "-").replace("/", "_").rstrip("=")
    for data in (f"data:image/jpeg;base64,{plain}", f"{odd[:9]}\r\n {odd[9:]}"):
        for source in ("base64", "url"):
            if source == "url" and not data.startswith("data:"):
                continue
            made = sent(media(source=source, data=data))
            assert (made.source, made.data) == ("base64", plain)
            assert made.media_type == "image/png"
    made = sent(media("document", "url", "data:text/plain,a%20b"), "google")
    assert base64.b64decode(made.data) == b"a b"


def test_what_is_no_base64_or_no_picture_the_model_takes_is_refused():
    assert refused(media(data="***")).param == "image_url"
    assert refused(media(data="")).param == "image_url"
    heic = media(data=b64(HEADS["image/heic"]))
    assert "image/heic" in refused(heic).message
    assert sent(heic, "google").media_type == "image/heic"
    big = media(data=b64(HEADS["image/png"] + bytes(6 << 20)))
    assert refused(big).code == "image_too_large"


@pytest.mark.parametrize("to", ["google", "ollama", "bedrock"])
def test_t36_a_picture_by_address_is_put_in_its_place(to):
    given = media(source="url", data=URL)
    caps = capabilities(to, "", MODELS[to])
    asked = request(
        user(given, given),
        assistant(call()),
        results(result("c1", given)),
    )
    assert urls_to_fetch(asked, caps) == [URL]
    file = Fetched("image/jpeg; q=1", b64(HEADS["image/png"]))
    made = sent(given, to, fetched={URL: file})
    assert (made.source, made.media_type) == ("base64", "image/png")
    error = refused(given, to)
    assert "pictures.example" in error.message
    assert "secret" not in error.message
    assert refused(media(source="url", data="http://[bad"), to).param == "image_url"


@pytest.mark.parametrize("to", ["anthropic", "openai", "responses"])
def test_t37_a_picture_by_address_stays_one_where_the_vendor_fetches(to):
    given = media(source="url", data=URL)
    assert sent(given, to) == given
    assert urls_to_fetch(request(user(given)), capabilities(to, "", MODELS[to])) == []


def test_files_google_hosts_itself_stay_by_address():
    film = media("video", "url", "https://www.youtube.com/watch?v=1")
    assert sent(film, "google") == film
    assert refused(film, "anthropic").param == "video"


def test_t38_documents_go_as_they_are_or_as_words():
    pdf = media("document", data=b64(HEADS["application/pdf"]), title="Q3 — report?")
    for to in ("anthropic", "google", "bedrock", "openai", "responses"):
        made = sent(pdf, to)
        assert made.media_type == "application/pdf"
        assert made.title == pdf.title
    assert refused(pdf, "ollama").param == "file"
    text = media("document", "text", "words", title='a "b"', context="from c")
    assert sent(text) == text
    folded = sent(text, "openai")
    assert isinstance(folded, Text)
    assert folded.text == "<document title=\"a 'b'\">\nfrom c\nwords\n</document>"
    coded = media("document", data=b64("größe".encode()), media_type="text/plain")
    assert "größe" in sent(coded, "ollama").text
    assert sent(coded, "google").data == coded.data
    broken = media("document", data=b64(b"\xff\xfe\xfd"), media_type="text/plain")
    assert refused(broken, "openai").param == "file"


def test_citations_asked_of_a_document_made_words_are_a_loss():
    text = media("document", "text", "words", cites=True)
    assert words(fitted(request(user(text)), "openai")) == {"citations:drop"}


@pytest.mark.parametrize("to", ["anthropic", "responses", "ollama", "bedrock"])
def test_t39_sound_nobody_hears_is_refused_by_its_field(to):
    sound = media("audio", data=b64(b"RIFF0000WAVE0000"), media_type="audio/wav")
    assert refused(sound, to).param == "input_audio"
    assert sent(sound, "openai") == sound
    assert sent(sound, "google") == sound


def test_pictures_for_models_that_see_none_are_refused():
    given = media(data=b64(HEADS["image/png"]))
    assert refused(given, "openai", "o3-mini").param == "image_url"


def test_files_kept_by_another_vendor_are_refused():
    for source in ("file_id", "gs", "s3"):
        assert refused(media("document", source, "x"), "openai", dialect="anthropic")
    own = media("document", "file_id", "file-1")
    assert sent(own, "openai") == own
    assert sent(media(source="gs", data="gs://b/c"), "google")
    assert sent(media(source="s3", data="s3://b/c"), "bedrock")


def test_what_the_bytes_do_not_say_is_believed():
    odd = b64(b"0000nothing known 0000")
    assert sent(media(data=odd, media_type="image/png")).media_type == "image/png"
    assert sent(media(data="AAA", media_type="image/png")).media_type == "image/png"
    assert refused(media(data="AAAAA", media_type="image/png")).param == "image_url"
    film = media("video", data=b64(HEADS["image/heic"]), media_type="video/mp4")
    assert sent(film, "google").media_type == "video/mp4"
    wave = media("video", data=b64(b"RIFF0000AVI 0000"))
    assert sent(wave, "google").media_type == "video/avi"
    paper = media(
        "document", data=b64(HEADS["image/png"]), media_type="application/pdf"
    )
    assert sent(paper).media_type == "application/pdf"
