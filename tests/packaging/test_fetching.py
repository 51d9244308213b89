"""fetch, against a loopback stand-in with the routes of Hugging Face and civitai: not tried for real."""

import datetime as dt
import hashlib
import json
import resource
import socket
import ssl
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from safetensors.numpy import save

from infra.commands.models.fetch import system_client
from model_packaging.errors import FetchRefused, WrongPlace
from model_packaging.fetching import Limits, fetch, put_in_place, source_named, target_of
from model_packaging.https_client import HttpsClient, Token, checked, public_address
from model_packaging.kinds import Kind
from model_packaging.models_toml import read_notes
from tests.packaging.commands import Keyboard, typed

WEIGHTS = np.random.default_rng(3).standard_normal((2000, 128)).astype("float16")
BODY = save({"lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight": WEIGHTS})
DIGEST = hashlib.sha256(BODY).hexdigest()
HOSTS = ("huggingface.co", "civitai.com", "cdn.example.com", "inside.example.com")
ADDRESSES = {host: ["93.184.215.14"] for host in HOSTS} | {"inside.example.com": ["10.0.0.7"]}


class Services(BaseHTTPRequestHandler):
    """Both services and a CDN by the Host header. `seen` keeps what each was sent."""

    protocol_version = "HTTP/1.1"

    def __init__(self, seen, *arguments):
        self.seen = seen
        super().__init__(*arguments)

    def do_GET(self):
        host = self.headers["Host"]
        self.seen.append((host, self.path, dict(self.headers)))
        about = {
            "sha": "a" * 40,
            "cardData": {"license": "other", "license_name": "flux-1-dev-non-commercial-license"},
            "siblings": [{"rfilename": "x.safetensors", "size": len(BODY), "lfs": {"sha256": DIGEST}}],
        }
        version = {
            "modelId": 5,
            "trainedWords": ["ink wash"],
            "model": {"type": "LORA"},
            "files": [
                {"name": "ink.safetensors", "sizeKB": len(BODY) / 1024, "hashes": {"SHA256": DIGEST.upper()}}
            ],
        }
        if self.path.startswith("/api/models/"):
            self.answer(200, json.dumps(about).encode())
        elif self.path.startswith("/api/v1/model-versions/"):
            self.answer(200, json.dumps(version).encode())
        elif self.path.startswith("/api/v1/models/"):
            self.answer(200, json.dumps({"allowCommercialUse": "None"}).encode())
        elif "/resolve/" in self.path or self.path.startswith("/api/download/"):
            self.answer(302, b"", Location="https://cdn.example.com/file.safetensors?signature=1")
        elif self.path == "/inside":
            self.answer(302, b"", Location="https://inside.example.com/")
        elif self.path == "/page.safetensors":
            self.answer(200, b"<!DOCTYPE html><title>Sign in</title>")
        elif self.path == "/loop":
            self.answer(302, b"", Location="/loop")
        elif span := self.headers["Range"]:
            start = int(span.removeprefix("bytes=").rstrip("-"))
            ends = f"bytes {start}-{len(BODY) - 1}/{len(BODY)}"
            self.answer(206, BODY[start:], **{"Content-Range": ends})
        else:
            self.answer(200, BODY)

    def answer(self, status, body, **headers):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), "Connection": "close", **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = dt.datetime.now(dt.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in HOSTS]), critical=False)
        .sign(key, hashes.SHA256())
    )
    place = tmp_path_factory.mktemp("tls") / "both.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    place.write_bytes(private + built.public_bytes(serialization.Encoding.PEM))
    return place


@pytest.fixture
def seen():
    return []


@pytest.fixture
def client(certificate, seen):
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Services, seen))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield HttpsClient(
        tokens=(Token(host="huggingface.co", value="hub"), Token(host="civitai.com", value="civ")),
        resolve=lambda host, _: ADDRESSES[host],
        connect=lambda _address, _port: socket.create_connection(server.server_address, timeout=10),
        context=ssl.create_default_context(cafile=certificate),
    )
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("source", "path", "licence"),
    [
        ("hf:org/repo/x.safetensors", "Stable-diffusion/x.safetensors", "flux-1-dev"),
        ("civitai:12", "Lora/ink.safetensors", "non-commercial"),
    ],
)
def test_a_file_lands_in_its_folder(client, seen, tmp_path, *, source, path, licence):
    offer = source_named(source).offer(client)
    assert licence in offer.licence
    assert (offer.size, offer.sha256) == (len(BODY), DIGEST)
    place = target_of(offer, tmp_path, kind=offer.kind or Kind.CHECKPOINT)
    put_in_place(fetch(client, offer, place), place)
    assert (tmp_path / path).read_bytes() == BODY
    sent = {host: headers.get("Authorization") for host, _, headers in seen}
    assert sent.pop("cdn.example.com") is None
    assert set(sent.values()) <= {"Bearer hub", "Bearer civ"}
    with pytest.raises(WrongPlace, match="there already"):
        target_of(offer, tmp_path, kind=offer.kind or Kind.CHECKPOINT)


def test_a_download_cut_short_goes_on_where_it_stopped(client, seen, tmp_path):
    offer = source_named("hf:org/repo/x.safetensors").offer(client)
    place = target_of(offer, tmp_path, kind=Kind.LORA)
    place.parent.mkdir()
    place.with_name(".x.safetensors.partial").write_bytes(BODY[:1000])
    assert fetch(client, offer, place).read_bytes() == BODY
    assert seen[-1][2]["Range"] == "bytes=1000-"


def test_what_an_earlier_attempt_left_wrong_is_begun_anew(client, seen, tmp_path):
    offer = source_named("hf:org/repo/x.safetensors").offer(client)
    place = target_of(offer, tmp_path, kind=Kind.LORA)
    place.parent.mkdir()
    place.with_name(".x.safetensors.partial").write_bytes(bytes(len(BODY)))
    assert fetch(client, offer, place).read_bytes() == BODY
    assert "Range" not in seen[-1][2]


def test_a_disk_that_is_full_is_not_called_a_broken_network(client, tmp_path):
    offer = source_named("civitai:12").offer(client)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(WrongPlace, match=r"ink.safetensors.partial cannot be written: .*--folder"):
            fetch(client, offer, target_of(offer, tmp_path, kind=Kind.LORA))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_another_file_than_promised_is_not_kept(client, tmp_path):
    source = source_named("https://cdn.example.com/x.safetensors", sha256="0" * 64)
    offer = source.offer(client)
    place = target_of(offer, tmp_path, kind=Kind.LORA)
    with pytest.raises(FetchRefused) as refused:
        fetch(client, offer, place)
    assert refused.value.reason == "wrong_checksum"
    assert not list(place.parent.iterdir())


@pytest.mark.parametrize(("path", "reason"), [("inside", "private_address"), ("loop", "redirects")])
def test_every_redirect_is_checked_anew(client, seen, path, reason):
    with pytest.raises(FetchRefused) as refused:
        source_named(f"https://cdn.example.com/{path}").offer(client)
    assert refused.value.reason == reason
    assert "inside.example.com" not in [host for host, _, _ in seen]


def test_a_file_above_the_cap_is_not_begun(client, tmp_path):
    offer = source_named("civitai:12").offer(client)
    with pytest.raises(FetchRefused) as refused:
        fetch(client, offer, tmp_path / "x.safetensors", limits=Limits(most_bytes=1000))
    assert refused.value.reason == "too_large"


@pytest.fixture
def typing(client, monkeypatch, capsys, tmp_path):
    """`imagine models fetch …` into a folder, with the stand-in for the network."""
    monkeypatch.setattr("infra.commands.models.fetch.system_client", lambda: client)
    return partial(typed, capsys, "models", "fetch", "--folder", tmp_path)


def test_fetch_shows_size_and_licence_and_asks(typing, tmp_path, monkeypatch):
    monkeypatch.setattr("sys.stdin", Keyboard("y\n"))
    told = typing("civitai:12")
    assert told.status == 0, told.err
    assert "civitai" in told.err
    assert (
        f"512 kB, licence civitai: non-commercial, to {tmp_path}/Lora/ink.safetensors. Fetch it?" in told.err
    )
    assert "forbids commercial use" in told.err
    assert told.out == f"{tmp_path}/Lora/ink.safetensors\n"
    notes = read_notes(tmp_path).files["Lora/ink.safetensors"]
    assert notes == {"licence": "civitai: non-commercial", "trigger_words": ("ink wash",)}


def test_fetch_writes_over_nothing(typing, tmp_path):
    assert typing("civitai:12", "--yes").status == 0
    told = typing("civitai:12", "--yes")
    assert told.status == 1
    assert f"{tmp_path}/Lora/ink.safetensors is there already" in told.err


def test_fetch_asks_for_a_licence_that_nobody_states(typing, tmp_path, monkeypatch):
    line = ["https://cdn.example.com/pen.safetensors", "--kind", "lora"]
    refused = typing(*line, "--yes")
    assert refused.status == 1
    assert "pen.safetensors states no licence" in refused.err
    monkeypatch.setattr("sys.stdin", Keyboard("MIT\ny\n"))
    told = typing(*line)
    assert (told.status, told.out) == (0, f"{tmp_path}/Lora/pen.safetensors\n")
    assert "nobody states its checksum" in told.err


def test_fetch_refuses_a_licence_that_the_team_forbids(typing, tmp_path, monkeypatch):
    monkeypatch.setenv("IMAGINE_FORBID_NON_COMMERCIAL", "on")
    told = typing("hf:org/repo/x.safetensors", "--kind", "lora", "--yes")
    assert told.status == 1
    assert "forbids commercial use" in told.err
    assert not list(tmp_path.iterdir())


def test_a_file_of_another_kind_waits_for_the_line_that_says_so(typing, seen, tmp_path):
    line = ["hf:org/repo/x.safetensors", "--licence", "MIT", "--yes", "--json"]
    told = typing(*line, "--kind", "checkpoint")
    assert told.status == 1
    assert told.json["reason"] == "it is a lora, not a checkpoint: run the same line with --kind lora"
    assert not list((tmp_path / "Stable-diffusion").iterdir())
    seen.clear()
    assert typing(*line, "--kind", "lora").status == 0
    assert (tmp_path / "Lora/x.safetensors").read_bytes() == BODY
    assert [host for host, _, _ in seen] == ["huggingface.co"]


def test_fetch_keeps_nothing_that_verify_refuses(typing, tmp_path):
    told = typing("https://cdn.example.com/page.safetensors", "--kind", "lora", "--licence", "MIT", "--yes")
    assert told.status == 1
    assert "it is a web page, not a model" in told.err
    assert not list((tmp_path / "Lora").iterdir())


def test_fetch_takes_names_as_long_as_a_disk_takes_them(typing, tmp_path):
    name = "n" * 243
    assert typing("civitai:12", "--name", name, "--yes").status == 0
    assert (tmp_path / f"Lora/{name}.safetensors").read_bytes() == BODY


@pytest.mark.parametrize("value", ["tok en", "tok\nX-Other: 1", "t\u00f6ken"])
def test_a_token_that_is_none_is_refused_and_not_shown(value, monkeypatch, capsys):
    monkeypatch.setenv("CIVITAI_TOKEN", value)
    told = typed(capsys, "models", "fetch", "civitai:12", "--yes")
    assert told.status == 1
    assert "CIVITAI_TOKEN holds more than one token's letters" in told.err
    assert value not in told.err


def test_a_token_may_have_blanks_around_it(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", " tok\n")
    assert [token.value for token in system_client().tokens] == ["tok"]


@pytest.mark.parametrize(
    ("line", "fix"),
    [
        (["https://cdn.example.com/x.safetensors"], "give --kind"),
        (["ftp://example.com/x"], "only https:// addresses"),
        (["civitai:12", "--max-gb", "0.0001"], "see --max-gb"),
        (["hf:org"], "write hf:organisation/repository/file"),
        (["https://cdn.example.com/x.txt", "--kind", "lora"], "no model file"),
    ],
)
def test_fetch_says_what_to_give_instead(typing, tmp_path, line, fix):
    told = typing(*line, "--licence", "MIT", "--yes")
    assert told.status == 1
    assert fix in told.err


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "169.254.169.254", "192.168.0.1", "100.64.0.1", "0.0.0.0", "224.0.0.1", "::1",
     "fe80::1", "fd00::1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "nonsense"],
)  # fmt: skip
def test_no_private_address_is_called(address):
    with pytest.raises(FetchRefused) as refused:
        public_address("example.com", ["93.184.215.14", address])
    assert refused.value.reason == "private_address"


@pytest.mark.parametrize(
    "url",
    ["http://example.com/x", "ftp://example.com", "https://", "https://u:p@example.com/x",
     "https://example.com:22/", "https://example.com/a b", "https://[", "file:///etc/passwd"],
)  # fmt: skip
def test_only_plain_https_addresses_are_fetched(url):
    with pytest.raises(FetchRefused):
        checked(url)
