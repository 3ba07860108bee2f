"""`make base-images`: asks each registry which image a tag names now, and writes its digest behind the tag.

    FROM python:3.13-slim-trixie@sha256:…       in Dockerfile, also as `ARG NAME=…`
    image: postgres:17-trixie@sha256:…          in compose.yaml, and cloudflared in tunnel.yaml

Rule: all or nothing. If one answer is missing, no file is changed.

Facts (OCI distribution specification 1.1): `HEAD /v2/NAME/manifests/TAG` has the digest in `Docker-Content-Digest`.
Without a token, a registry may answer 401 and say who gives one; Docker Hub gives one to anyone, and does not count
such a request as a pull. The digest of an index is for every kind of processor, that of a single manifest for one.

Strategy: the tag stays in front of the digest, for readers and for the next time. Docker pulls by the digest alone.

Weakness: it believes the registry, and checks no signature of an image.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import httpx

ROOT = Path(__file__).parent.parent
FILES = ("Dockerfile", "compose.yaml", "integrations/containers/stacks/tunnel.yaml")

#: An image of others: ours have no registry.
IMAGE = re.compile(
    r"(?m)^(?P<before>ARG [A-Z_]+=|FROM | +image: )"
    r"(?P<name>(?!weighbridge)[a-z0-9][a-z0-9._/:-]*):(?P<tag>\w[\w.-]*)(?:@(?P<digest>sha256:[0-9a-f]{64}))?(?=\s|$)"
)
INDEXES = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")
MANIFESTS = ("application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json")


def renew(folder: Path) -> list[str]:
    """Write the current digests into the files there. Returns a line for each image; raises `SystemExit`."""
    texts = {name: (folder / name).read_text(encoding="utf-8") for name in FILES}
    # The digest that was there before -> the image.
    before = {
        (found["name"], found["tag"]): found["digest"] for text in texts.values() for found in IMAGE.finditer(text)
    }
    with httpx.Client(timeout=30) as client:
        now = {image: digest_of(client, *image) for image in before}
    for name, text in texts.items():
        new = IMAGE.sub(lambda found: f"{found[1]}{found[2]}:{found[3]}@{now[found[2], found[3]]}", text)
        if new != text:
            (folder / name).write_text(new, encoding="utf-8")
    return [
        f"{':'.join(image)}  " + ("unchanged" if now[image] == old else f"{old or 'no digest'} -> {now[image]}")
        for image, old in before.items()
    ]


def digest_of(client: httpx.Client, name: str, tag: str) -> str:
    """The digest of the index that this tag names now."""
    registry, path = place_of(name)
    address = f"{registry}/v2/{path}/manifests/{tag}"
    headers = {"Accept": ", ".join((*INDEXES, *MANIFESTS))}
    try:
        answer = client.head(address, headers=headers)
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            headers["Authorization"] = f"Bearer {_token(client, answer.headers.get('WWW-Authenticate', ''))}"
            answer = client.head(address, headers=headers)
    except (httpx.HTTPError, ValueError, KeyError) as e:
        sys.exit(f"{name}:{tag} could not be looked up at {registry}: {e}. Nothing was changed.")
    digest = str(answer.headers.get("Docker-Content-Digest", ""))
    if answer.status_code != httpx.codes.OK or not re.fullmatch("sha256:[0-9a-f]{64}", digest):
        sys.exit(f"Expected the digest of {name}:{tag}, got HTTP {answer.status_code}. Nothing was changed.")
    if answer.headers.get("Content-Type") not in INDEXES:
        sys.exit(f"{name}:{tag} is for one kind of processor only. Choose another tag. Nothing was changed.")
    return digest


def place_of(name: str) -> tuple[str, str]:
    """The registry of an image and its path there. Docker reads names the same way."""
    host, slash, path = name.partition("/")
    if not slash or not (set(".:") & set(host) or host == "localhost"):
        host, path = "docker.io", name
    if host == "docker.io":
        return "https://registry-1.docker.io", path if "/" in path else f"library/{path}"
    local = host.partition(":")[0] in ("localhost", "127.0.0.1")
    return f"{'http' if local else 'https'}://{host}", path


def _token(client: httpx.Client, challenge: str) -> str:
    """A token for anyone, from the place that the answer 401 names. Raises `ValueError`, `KeyError` or `HTTPError`."""
    scheme, _, rest = challenge.partition(" ")
    fields = dict(re.findall(r'(\w+)="([^"]*)"', rest))
    if scheme.lower() != "bearer" or not fields.get("realm", "").startswith(("https://", "http://127.0.0.1:")):
        raise ValueError("it wants a sign-in of another kind")
    answer = client.get(fields.pop("realm"), params={name: fields[name] for name in ("service", "scope")})
    return str(answer.raise_for_status().json()["token"])


if __name__ == "__main__":
    print("\n".join(renew(ROOT)))
